"""Two processes of the panel, as real ones, behind no stickiness: one panel, with a file as with Redis."""

import asyncio
import json
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.state.redis_server import RedisServer
from tests.support.processes import (
    COMMAND,
    PASSWORD,
    Panel,
    Server,
    SimulatorProcess,
    free_port,
    run_async,
    run_panel,
    run_simulator,
    serve,
)
from tests.support.viewer import Viewer

FIGURE = "Remaining: **7,500** credits"
VIEWERS = 50


@dataclass
class Pair:
    """Two panels with one store and one state."""

    panel: Panel
    folder: Path
    settings: dict[str, str]
    stack: ExitStack
    servers: list[Server] = field(default_factory=list)

    @property
    def simulator(self) -> SimulatorProcess:
        """Whom both ask."""
        return self.panel.simulator

    @property
    def urls(self) -> list[str]:
        """Of both."""
        return [server.url for server in self.servers]

    def start(self) -> str:
        """One process more; its URL."""
        port = free_port()
        command = [*COMMAND, "serve", "--port", str(port)]
        self.servers.append(self.stack.enter_context(serve(command, port, self.folder, self.settings)))
        return self.servers[-1].url


@pytest.fixture(params=["file", "redis"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where both keep their state."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/state.sqlite3"
    else:
        (tmp_path / "redis").mkdir()
        with RedisServer(tmp_path / "redis") as server:
            yield server.url


@pytest.fixture
def ttl() -> int:
    """How long readings are good."""
    return 300


@pytest.fixture
def pair(tmp_path: Path, state_url: str, ttl: int) -> Iterator[Pair]:
    """Two panels, once they answer."""
    with ExitStack() as stack:
        simulator = stack.enter_context(run_simulator(tmp_path))
        settings = {"PANEL_STATE_URL": state_url, "PANEL_CACHE_TTL_SECONDS": str(ttl)}
        panel = stack.enter_context(run_panel(tmp_path, simulator, **settings))
        own = {name: text for name, text in panel.environment.items() if name.startswith(("IMAI_", "PANEL_"))}
        both = Pair(panel, tmp_path, own, stack, [panel.server])
        both.start()
        yield both


def ask(url: str, path: str, *, cookie: str = "", ticket: str | None = None) -> tuple[int, str, str]:
    """Status, body and cookie of an answer."""
    request = urllib.request.Request(f"{url}{path}", headers={"Cookie": cookie, "Origin": url})
    if ticket is not None:
        request.data = json.dumps({"ticket": ticket}).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), str(answer.headers["Set-Cookie"]).partition(";")[0]
    except urllib.error.HTTPError as error:
        return error.code, "", ""


async def try_password(url: str, password: str) -> tuple[str, list[str]]:
    """The ticket that the form gives, if it does, and what it says."""
    async with Viewer(url, timeout=60) as form:
        await form.first_visit()
        form.fill("Username", "alice")
        form.fill("Password", password)
        await form.click("Login")
        found = [item for item in form.screen.items() if item.kind == "bidi_component"]
        return (json.loads(found[0].content.json)["ticket"] if found else ""), form.texts()


def signed_in(form: str, exchange: str) -> str:
    """The cookie of a sign-in whose form one process drew and whose ticket another one exchanges."""
    ticket, _ = run_async(try_password(form, PASSWORD))
    status, _, cookie = ask(exchange, "/integrations/session", ticket=ticket)
    assert status == 204
    assert ask(exchange, "/integrations/session", ticket=ticket)[0] == 401
    assert ask(form, "/integrations/session", ticket=ticket)[0] == 401
    return cookie


async def page(url: str, cookie: str, *, text: str, press: str | None = None) -> list[str]:
    """What a page reads once the text stands on it, and after a click."""
    async with Viewer(url, cookie, timeout=60) as viewer:
        await viewer.open()
        await viewer.until(text)
        await viewer.finished()
        if press is not None:
            await viewer.click(press)
        return viewer.texts()


def test_a_sign_in_is_good_in_both_and_ends_in_both(pair: Pair) -> None:
    """Form, ticket, check and page may each meet another process; so may log-out, and a change of the roles."""
    one, other = pair.urls
    cookie = signed_in(one, other)
    for url in (one, other):
        assert ask(url, "/integrations/session", cookie=cookie)[0] == 204
        assert any(FIGURE in text for text in run_async(page(url, cookie, text=FIGURE)))
    run_async(page(one, cookie, text=FIGURE, press="Log out"))
    for url in (other, one):
        assert ask(url, "/integrations/usage", cookie=cookie)[0] == 401
    cookie = signed_in(other, one)
    pair.panel.users("role", "alice", "viewer", "admin")
    for url in (one, other):
        assert ask(url, "/integrations/usage", cookie=cookie)[0] == 401


def sessions_end(pair: Pair, *whose: str) -> str:
    """What `integrations sessions end` says, run beside both."""
    command = [*COMMAND, "sessions", "end", *whose]
    done = subprocess.run(
        command, env=pair.panel.environment, cwd=pair.folder, capture_output=True, text=True, check=True
    )
    return done.stdout


async def open_page_of_each(pair: Pair, cookie: str, change: Callable[[], object]) -> list[list[str]]:
    """What an open page of each process reads at its next look after a change."""
    async with AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(Viewer(url, cookie, timeout=60)) for url in pair.urls]
        for viewer in viewers:
            await viewer.open()
            await viewer.until(FIGURE)
            await viewer.finished()
        await asyncio.to_thread(change)
        for viewer in viewers:
            await viewer.rerun()
        return [viewer.texts() for viewer in viewers]


@pytest.mark.parametrize("how", ["password", "command"])
def test_a_change_from_outside_ends_a_session_in_both(pair: Pair, how: str) -> None:
    """A new password, and `sessions end`: open pages of both fall back to the form, and their cookie reads nothing."""
    cookie = signed_in(*pair.urls)

    def change() -> None:
        if how == "password":
            pair.panel.users("password", "alice", "--password-stdin")
        else:
            assert sessions_end(pair, "--user", "alice") == "Ended 1 sign-in.\n"

    for texts in run_async(open_page_of_each(pair, cookie, change)):
        assert "Username" in texts
        assert not any(FIGURE in text for text in texts)
    for url in pair.urls:
        assert ask(url, "/integrations/usage", cookie=cookie)[0] == 401
        assert ask(url, "/integrations/session", cookie=cookie)[0] == 401


def test_guesses_are_counted_over_both(pair: Pair) -> None:
    """Five, wherever; then the right password is refused by both."""

    async def guess() -> list[list[str]]:
        return [(await try_password(pair.urls[number % 2], f"wrong {number}"))[1] for number in range(5)]

    for texts in run_async(guess()):
        assert "Username or password is incorrect." in texts
    for url in pair.urls:
        ticket, texts = run_async(try_password(url, PASSWORD))
        assert not ticket
        assert "Too many attempts. Try again later." in texts


def test_fifty_viewers_of_each_make_one_call(pair: Pair) -> None:
    """All at once, with nothing kept; after Refresh on one, the other shows what it gave."""
    cookie = signed_in(*pair.urls)
    pair.simulator.control(latency_seconds=1)

    async def crowd() -> None:
        pages = (page(url, cookie, text=FIGURE) for url in pair.urls for _ in range(VIEWERS))
        await asyncio.gather(*pages)

    run_async(crowd())
    assert pair.simulator.calls() == 1
    pair.simulator.control(spend="100", latency_seconds=0)
    time.sleep(2)  # clicks at once after a call ask nothing, and the processes have clocks of their own
    run_async(page(pair.urls[0], cookie, text=FIGURE, press="Refresh"))
    assert "7400" in ask(pair.urls[1], "/integrations/usage", cookie=cookie)[1]
    assert pair.simulator.calls() == 2


def test_a_crowd_shares_a_failure(pair: Pair) -> None:
    """Good or bad: one call."""
    cookie = signed_in(*pair.urls)
    pair.simulator.control(mode="internal_server_error", latency_seconds=0.5)
    bodies: list[str] = []

    def read(url: str) -> None:
        bodies.append(ask(url, "/integrations/usage", cookie=cookie)[1])

    threads = [threading.Thread(target=read, args=(url,)) for url in pair.urls * 25]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 50
    assert all('"provider_unavailable"' in body for body in bodies)
    assert pair.simulator.calls() == 1


def test_an_outage_that_another_process_ends_is_over_in_the_log(pair: Pair) -> None:
    """The one that met it tells its end, once it gives the other's reading."""
    cookie = signed_in(*pair.urls)
    pair.simulator.control(mode="internal_server_error")
    ask(pair.urls[0], "/integrations/usage", cookie=cookie)
    pair.simulator.control(mode="ok")
    time.sleep(2)  # clicks at once after a call ask nothing
    run_async(page(pair.urls[1], cookie, text="Unable to fetch quota.", press="Retry"))
    assert '"remainingQuota":7500' in ask(pair.urls[0], "/integrations/usage", cookie=cookie)[1]
    met, other = (server.process.log for server in pair.servers)
    assert [met.count("IMAI: no reading"), met.count("IMAI: reading again after")] == [1, 1]
    assert "IMAI: " not in other
    assert pair.simulator.calls() == 2


def test_when_the_asking_process_is_killed_another_one_asks(pair: Pair) -> None:
    """The others have the figure within the deadline."""
    cookie = signed_in(*pair.urls)
    pair.simulator.control(latency_seconds=2)
    asking = threading.Thread(target=lambda: _quietly(pair.urls[0], cookie))
    asking.start()
    while pair.simulator.calls() == 0:
        time.sleep(0.01)
    begun = time.monotonic()
    pair.servers[0].process.running.send_signal(signal.SIGKILL)
    status, body, _ = ask(pair.urls[1], "/integrations/usage", cookie=cookie)
    assert (status, '"remainingQuota":7500' in body) == (200, True)
    assert time.monotonic() - begun < 10
    assert pair.simulator.calls() == 2
    asking.join()


@pytest.mark.parametrize("ttl", [2])
def test_both_together_ask_once_when_the_time_of_a_reading_is_over(pair: Pair, ttl: int) -> None:
    """However many read in both at that moment: one call, whose figure all have."""
    cookie = signed_in(*pair.urls)

    def read(number: int) -> str:
        return ask(pair.urls[number % 2], "/integrations/usage", cookie=cookie)[1]

    read(0)
    pair.simulator.control(latency_seconds=0.3)
    for calls, left in ((2, 7400), (3, 7300)):
        pair.simulator.control(spend="100")
        time.sleep(ttl)
        with ThreadPoolExecutor(20) as pool:
            assert all(f'"remainingQuota":{left}' in body for body in pool.map(read, range(20)))
        assert pair.simulator.calls() == calls


def _quietly(url: str, cookie: str) -> None:
    with suppress(OSError):  # its process was killed
        ask(url, "/integrations/usage", cookie=cookie)


@pytest.mark.parametrize("ttl", [1])
def test_a_restart_with_the_provider_down_shows_the_last_good_figures(pair: Pair, ttl: int) -> None:
    """At once and marked; nobody has to sign in anew, and nothing of it is a traceback."""
    cookie = signed_in(*pair.urls)
    run_async(page(pair.urls[0], cookie, text=FIGURE))
    for server in pair.servers:
        server.process.running.send_signal(signal.SIGTERM)
        server.process.running.wait(timeout=20)
    pair.simulator.control(mode="internal_server_error")
    url = pair.start()
    texts = "\n".join(run_async(page(url, cookie, text=FIGURE)))
    assert "Last good reading" in texts
    assert "Unable to fetch quota. Please try again." in texts
    for server in pair.servers:
        assert "Traceback" not in server.process.log
        assert "fails" not in server.process.log
