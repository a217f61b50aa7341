"""Two real processes that share a store and a state behave as one panel, with a file and with Redis."""

import asyncio
import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.state.redis_server import RedisServer
from tests.support.processes import (
    PASSWORD,
    Panel,
    Server,
    SimulatorProcess,
    run_another_process,
    run_async,
    run_panel,
    run_simulator,
    wait_for,
)
from tests.support.viewer import Viewer

FIGURE = "Remaining: **7,500** credits"


class Pair:
    """Two processes of a panel.

    Args:
        panel: the first process. Its settings of IMAI are in `.env`.
        stack: ends the others.
    """

    def __init__(self, panel: Panel, stack: ExitStack) -> None:
        self.panel, self._stack = panel, stack
        self.servers = [panel.server, stack.enter_context(run_another_process(panel))]
        self._accounts = 0

    @property
    def simulator(self) -> SimulatorProcess:
        """The provider that both ask."""
        return self.panel.simulator

    @property
    def urls(self) -> list[str]:
        """The URLs of both."""
        return [server.url for server in self.servers]

    def reset(self) -> None:
        """Start a killed process again, and let both forget every reading by giving them another account."""
        self.simulator.control(reset=True)
        for number, server in enumerate(self.servers):
            if server.process.running.poll() is not None:
                port = int(server.url.rpartition(":")[2])
                self.servers[number] = self._stack.enter_context(run_another_process(self.panel, port))
        self._accounts += 1
        write_settings(self.panel.folder, self.simulator, total=10_000 + self._accounts)
        for server in self.servers:
            reload(server)


def write_settings(folder: Path, simulator: SimulatorProcess, *, total: int) -> None:
    """Write `.env`. A reading of another total counts as another account's."""
    variables = {"API_BASE_URL": simulator.url, "API_KEY": simulator.key, "TOTAL_CREDITS": total}
    lines = (f"IMAI_{name}={value}\n" for name, value in variables.items())
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text("".join(lines), encoding="utf-8")


def reload(server: Server) -> None:
    """Let a process read its accounts again."""
    before = server.process.log.count("Accounts reloaded")
    server.process.running.send_signal(signal.SIGHUP)
    server.process.wait_for(lambda: server.process.log.count("Accounts reloaded") > before)


@pytest.fixture(scope="module", params=["file", "redis"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run one pair for this file and each kind of state."""
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack:
        settings = {"IMAI_API_BASE_URL": "", "IMAI_API_KEY": "", "IMAI_TOTAL_CREDITS": ""}
        if request.param == "redis":
            (folder / "redis").mkdir()
            settings["PANEL_STATE_URL"] = stack.enter_context(RedisServer(folder / "redis")).url
        simulator = stack.enter_context(run_simulator(folder))
        write_settings(folder, simulator, total=10_000)
        panel = stack.enter_context(run_panel(folder, simulator, **settings))
        yield Pair(panel, stack)


@pytest.fixture
def pair(both: Pair) -> Pair:
    """Return the pair without any reading."""
    both.reset()
    return both


def ask(url: str, path: str, *, cookie: str = "", ticket: str | None = None) -> tuple[int, str, str]:
    """Return the status, the body and the cookie of an answer."""
    request = urllib.request.Request(f"{url}{path}", headers={"Cookie": cookie, "Origin": url})
    if ticket is not None:
        request.data = json.dumps({"ticket": ticket}).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), str(answer.headers["Set-Cookie"]).partition(";")[0]
    except urllib.error.HTTPError as error:
        return error.code, "", ""


async def try_password(url: str, name: str, password: str) -> tuple[str, list[str]]:
    """Return the ticket of the form, if there is one, and the texts of the page."""
    async with Viewer(url, timeout=60) as form:
        await form.first_visit()
        form.fill("Username", name)
        form.fill("Password", password)
        await form.click("Login")
        found = [item for item in form.screen.items() if item.kind == "bidi_component"]
        return (json.loads(found[0].content.json)["ticket"] if found else ""), form.texts()


def signed_in(form: str, exchange: str) -> str:
    """Return the cookie of alice, who gets her ticket from one process and exchanges it at another."""
    ticket, _ = run_async(try_password(form, "alice", PASSWORD))
    status, _, cookie = ask(exchange, "/integrations/session", ticket=ticket)
    assert status == 204
    return cookie


async def page(url: str, cookie: str, *, press: str | None = None) -> None:
    """Open the page, run it until it shows the figure, and press a button if one is given."""
    async with asyncio.timeout(60), Viewer(url, cookie) as viewer:
        await viewer.first_visit()
        while not any(FIGURE in text for text in viewer.texts()):
            await viewer.rerun()
        if press is not None:
            await viewer.click(press)


def test_a_sign_in_is_valid_in_both_and_ends_in_both(pair: Pair) -> None:
    """Form, ticket, check and page may each meet another process; so may a log-out and a change of the roles."""
    one, other = pair.urls
    ticket, _ = run_async(try_password(one, "alice", PASSWORD))
    status, _, cookie = ask(other, "/integrations/session", ticket=ticket)
    assert status == 204
    for url in (one, other):
        assert ask(url, "/integrations/session", ticket=ticket)[0] == 401
        assert ask(url, "/integrations/session", cookie=cookie)[0] == 204
        run_async(page(url, cookie))
    run_async(page(one, cookie, press="Log out"))
    for url in (other, one):
        assert ask(url, "/integrations/usage", cookie=cookie)[0] == 401
    cookie = signed_in(other, one)
    pair.panel.users("role", "alice", "viewer", "admin")
    for url in (one, other):
        assert ask(url, "/integrations/usage", cookie=cookie)[0] == 401


def test_guesses_are_counted_over_both(pair: Pair) -> None:
    """After five wrong passwords, some at each, both refuse the right one."""

    async def guess() -> list[list[str]]:
        return [
            (await try_password(pair.urls[number % 2], "victor", f"wrong {number}"))[1] for number in range(5)
        ]

    for texts in run_async(guess()):
        assert "Username or password is incorrect." in texts
    for url in pair.urls:
        ticket, texts = run_async(try_password(url, "victor", PASSWORD))
        assert not ticket
        assert "Too many attempts. Try again later." in texts


def test_a_crowd_at_both_makes_one_call(pair: Pair) -> None:
    """Twenty-five open pages and twenty-five readers of the JSON at each share one call, as there is no reading yet."""
    cookie = signed_in(*pair.urls)
    pair.simulator.control(latency_seconds=1)

    async def crowd() -> None:
        await asyncio.gather(*(page(url, cookie) for url in pair.urls * 25))

    def read(url: str) -> str:
        return ask(url, "/integrations/usage", cookie=cookie)[1]

    with ThreadPoolExecutor(50) as pool:
        bodies = pool.map(read, pair.urls * 25)
        run_async(crowd())
        assert all('"remainingQuota":7500' in body for body in bodies)
    assert pair.simulator.calls() == 1


def test_if_the_asking_process_is_killed_the_other_one_asks(pair: Pair) -> None:
    """The other one has the figure within the deadline."""
    cookie = signed_in(*pair.urls)
    pair.simulator.control(latency_seconds=2)

    def ask_in_vain() -> None:
        with suppress(OSError):  # its process is killed
            ask(pair.urls[0], "/integrations/usage", cookie=cookie)

    asking = threading.Thread(target=ask_in_vain)
    asking.start()
    wait_for(pair.simulator.calls, "the call of the first process")
    begun = time.monotonic()
    pair.servers[0].process.running.kill()
    pair.servers[0].process.running.wait()
    status, body, _ = ask(pair.urls[1], "/integrations/usage", cookie=cookie)
    assert (status, '"remainingQuota":7500' in body) == (200, True)
    assert time.monotonic() - begun < 10
    assert pair.simulator.calls() == 2
    asking.join()
