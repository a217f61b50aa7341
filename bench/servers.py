"""The servers that the benchmark measures: stock Streamlit with an empty page, and the panel with N cards."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import processes
from tests.support.processes import PASSWORD, Server, SimulatorProcess
from tests.support.viewer import Viewer

FIGURE: Final = "7,500"
"""The simulator's credits, which every page shows."""
_EMPTY_PAGE: Final = Path(__file__).parent / "empty_page.py"


@dataclass(frozen=True, slots=True)
class Running:
    """A running server.

    Attributes:
        server: the process.
        simulator: the account that it reads; None for the empty page.
        cookie: the `Cookie` header of a signed-in session; None for the empty page.
    """

    server: Server
    simulator: SimulatorProcess | None = None
    cookie: str | None = None

    def viewer(self) -> Viewer:
        """Return a new tab, not connected yet."""
        return Viewer(self.server.url, self.cookie)


@asynccontextmanager
async def empty_page() -> AsyncIterator[Running]:
    """Start an empty page under stock `streamlit run`."""
    port = processes.free_port()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        processes.serve(processes.streamlit_run(_EMPTY_PAGE, port), port, Path(folder), {}) as server,
    ):
        yield Running(server)


@asynccontextmanager
async def panel(cards: int, *, mode: str = "ok", **settings: str) -> AsyncIterator[Running]:
    """Start a panel with this many cards, and sign in.

    Args:
        cards: accounts at the simulator, one card each.
        mode: how the simulator answers.
        settings: of the panel, in addition to the usual ones.
    """
    async with panels(1, cards, mode=mode, **settings) as (running,):
        yield running


@asynccontextmanager
async def panels(
    count: int, cards: int, *, mode: str = "ok", **settings: str
) -> AsyncIterator[tuple[Running, ...]]:
    """Start this many processes of one panel, on one store and one state, and sign in once for all."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        simulator = stack.enter_context(processes.run_simulator(folder))
        simulator.control(rate_limit=1_000_000, mode=mode)  # count the calls of a hasty page, refuse none
        variables = _accounts(folder, simulator, cards) | settings
        running = [
            stack.enter_context(processes.run_panel(folder, simulator, **variables)) for _ in range(count)
        ]
        async with Viewer(running[0].url) as form:
            await form.first_visit()
            cookie = await form.sign_in("alice", PASSWORD)
        yield tuple(Running(one.server, simulator, cookie) for one in running)


def _accounts(folder: Path, simulator: SimulatorProcess, count: int) -> dict[str, str]:
    """Write a providers' file of this many accounts; return the variables that go with it."""
    file = folder / "providers.yaml"
    entries = (f'  - {{service: imai, name: "{number}"}}\n' for number in range(1, count + 1))
    file.write_text("accounts:\n" + "".join(entries), encoding="ascii")
    variables = {"PANEL_PROVIDERS_FILE": str(file)}
    for number in range(1, count + 1):
        variables |= {
            f"IMAI_{number}_API_BASE_URL": simulator.url,
            f"IMAI_{number}_API_KEY": simulator.key,
            f"IMAI_{number}_TOTAL_CREDITS": "10000",
        }
    return variables
