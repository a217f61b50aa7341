"""The candidates: what each is, how it is started, and how somebody signs in to the panel without a browser."""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.support import processes
from tests.support.processes import PASSWORD, Server, SimulatorProcess
from tests.support.viewer import Viewer

TITLES: Final = {
    "empty": "an empty page under stock `streamlit run`",
    "script": "the panel's page as a plain script under stock `streamlit run`",
    "panel": "the panel under `integrations serve`",
    "naive": "the same card written the naive way under stock `streamlit run`",
    "memory": "`panel` with `PANEL_STATE_URL=memory://` in place of its file, in pairs with it",
    "workers": "`panel` with `--workers 2`, in pairs with it",
    "app": "an empty page as `st.App` under uvicorn, without garbage and file watcher: the floor",
}
PAIRED: Final = ("memory", "workers")
"""Other ways to serve the panel: compared with `panel` alone, in pairs, and by a few rows."""
FIGURE: Final = "7,500"
"""The simulator's credits, as every candidate's page shows them."""
_FILES: Final = Path(__file__).resolve().parent / "candidates"


_Launch = Callable[[Path, SimulatorProcess, Mapping[str, str]], AbstractAsyncContextManager["Candidate"]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One running candidate.

    Attributes:
        name: one of `TITLES`.
        server: where it runs.
        simulator: the account that it asks, its own; None where it asks nobody.
        cookie: the `Cookie` header of a signed-in session; None where nobody signs in.
    """

    name: str
    server: Server
    simulator: SimulatorProcess | None = None
    cookie: str | None = None

    def viewer(self) -> Viewer:
        """A new tab on it, not connected yet."""
        return Viewer(self.server.url, self.cookie)


@asynccontextmanager
async def start(
    name: str,
    folder: Path,
    *,
    providers: int = 1,
    latency_seconds: float = 0,
    mode: str = "ok",
    **settings: str,
) -> AsyncIterator[Candidate]:
    """Start a candidate in a new process; it ends with the block.

    Args:
        name: one of `TITLES`.
        folder: an empty one of its own.
        providers: how many cards it shows.
        latency_seconds: how long the provider takes for an answer.
        mode: how the provider answers, by the simulator's modes.
        settings: of the panel, beside the usual ones.
    """
    if name in {"empty", "app"}:
        with _asking_nobody(name, folder) as server:
            yield Candidate(name, server)
        return
    with processes.run_simulator(folder) as simulator:
        # No rate limit: a page that asks too often is measured and not refused.
        simulator.control(rate_limit=1_000_000, latency_seconds=latency_seconds, mode=mode)
        async with _ASKING[name](
            folder, simulator, _accounts(folder, simulator, providers) | settings
        ) as running:
            yield running


def _asking_nobody(name: str, folder: Path) -> AbstractContextManager[Server]:
    port = processes.free_port()
    if name == "empty":
        return processes.serve(processes.streamlit_run(_FILES / "empty_page.py", port), port, folder, {})
    options = folder / ".streamlit" / "config.toml"
    options.parent.mkdir()
    options.write_text('[server]\nfileWatcherType = "none"\n', encoding="ascii")
    command = [sys.executable, "-m", "uvicorn", "bench.candidates.empty_app:app", "--host", "127.0.0.1"]
    return processes.serve([*command, "--port", str(port), "--no-access-log"], port, folder, {})


@asynccontextmanager
async def _panel(
    folder: Path,
    simulator: SimulatorProcess,
    settings: Mapping[str, str],
    *,
    name: str = "panel",
    options: Sequence[str] = (),
    **own: str,
) -> AsyncIterator[Candidate]:
    with processes.run_panel(folder, simulator, options=options, **own, **settings) as panel:
        async with Viewer(panel.url) as form:
            await form.first_visit()
            cookie = await _sign_in(form, panel.url)
        yield Candidate(name, panel.server, simulator, cookie)


@asynccontextmanager
async def _script(
    folder: Path, simulator: SimulatorProcess, settings: Mapping[str, str]
) -> AsyncIterator[Candidate]:
    cookie = folder / "cookie"
    environment = processes.panel_environment(folder, simulator, **settings)
    environment |= {"BENCH_COOKIE_FILE": str(cookie), "BENCH_PASSWORD": PASSWORD}
    port = processes.free_port()
    command = processes.streamlit_run(_FILES / "panel_script.py", port)
    with processes.serve(command, port, folder, environment) as server:
        async with Viewer(server.url) as viewer:
            await viewer.first_visit()  # signs in on the server, and sees the form
        yield Candidate("script", server, simulator, cookie.read_text(encoding="ascii"))


@asynccontextmanager
async def _naive(
    folder: Path, simulator: SimulatorProcess, settings: Mapping[str, str]
) -> AsyncIterator[Candidate]:
    environment = {"IMAI_API_BASE_URL": simulator.url, "IMAI_API_KEY": simulator.key, **settings}
    port = processes.free_port()
    command = processes.streamlit_run(_FILES / "naive_cards.py", port)
    with processes.serve(command, port, folder, environment) as server:
        yield Candidate("naive", server, simulator)


_ASKING: Final[Mapping[str, _Launch]] = {
    "panel": _panel,
    "memory": partial(_panel, name="memory", PANEL_STATE_URL="memory://"),
    "workers": partial(_panel, name="workers", options=("--workers", "2")),
    "script": _script,
    "naive": _naive,
}


def _accounts(folder: Path, simulator: SimulatorProcess, count: int) -> dict[str, str]:
    """The variables that make the panel, or the naive page, show so many accounts."""
    if count == 1:
        return {"BENCH_PROVIDERS": "1"}
    file = folder / "providers.yaml"
    entries = (f'  - {{service: imai, name: "{number}"}}\n' for number in range(1, count + 1))
    file.write_text("accounts:\n" + "".join(entries), encoding="ascii")
    variables = {"BENCH_PROVIDERS": str(count), "PANEL_PROVIDERS_FILE": str(file)}
    for number in range(1, count + 1):
        variables |= {
            f"IMAI_{number}_API_BASE_URL": simulator.url,
            f"IMAI_{number}_API_KEY": simulator.key,
            f"IMAI_{number}_TOTAL_CREDITS": "10000",
        }
    return variables


async def time_sign_ins(candidate: Candidate, count: int) -> list[float]:
    """Seconds from pressing Login to the figure: password check, ticket, exchange, page. One for each."""
    url, taken = candidate.server.url, []
    for _ in range(count):
        async with Viewer(url) as form:
            await form.first_visit()
            began = time.perf_counter()
            cookie = await _sign_in(form, url)
            async with Viewer(url, cookie) as page:
                await page.open()
                await page.until(FIGURE)
                taken.append(time.perf_counter() - began)
    return taken


async def _sign_in(form: Viewer, url: str) -> str:
    """Sign in as a browser does: form, ticket, exchange. Gives the `Cookie` header of the session."""
    form.fill("Username", "alice")
    form.fill("Password", PASSWORD)
    await form.click("Login")
    ticket = json.loads(form.find("bidi_component").content.json)["ticket"]
    return await asyncio.to_thread(exchange, url, ticket)


def exchange(url: str, ticket: str) -> str:
    """What the page's script does in the browser: the ticket for the session's cookie."""
    request = urllib.request.Request(  # noqa: S310 - our own, on loopback
        f"{url}/integrations/session",
        data=json.dumps({"ticket": ticket}).encode(),
        headers={"Content-Type": "application/json", "Origin": url},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
        return str(answer.headers["Set-Cookie"]).partition(";")[0]
