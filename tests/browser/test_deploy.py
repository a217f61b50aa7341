"""deploy/nginx.conf, with the real nginx in front of the real panel."""

import asyncio
import re
import signal
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import refresh_after_spending, sign_in
from tests.state.redis_server import RedisServer
from tests.support.nginx import for_two_processes, nginx
from tests.support.processes import (
    Panel,
    SimulatorProcess,
    run_another_process,
    run_async,
    run_panel,
    wait_for,
)
from tests.support.viewer import Viewer, ViewerError


@pytest.fixture
def behind_nginx(panel: Panel, tmp_path: Path) -> Iterator[Panel]:
    """Put nginx with HTTPS in front of the panel."""
    with nginx(tmp_path, [panel.url]) as url:
        panel.url = url
        yield panel


def test_the_panel_works_behind_our_nginx_configuration(chromium: Browser, behind_nginx: Panel) -> None:
    """Sign-in, reading and Refresh work over HTTPS; the cookie is Secure, and HSTS is sent."""
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    sign_in(page, behind_nginx)
    refresh_after_spending(page, behind_nginx)
    (cookie,) = [cookie for cookie in context.cookies() if "session" in cookie["name"]]
    assert cookie["name"] == "__Host-integrations-session"
    assert cookie["secure"]
    answer = page.reload()
    assert answer is not None
    assert "max-age" in str(answer.header_value("strict-transport-security"))
    context.close()


@dataclass
class Tab:
    """A viewer's page without a browser; like the frontend it connects again after a loss.

    Attributes:
        shows: whether it is connected and shows its figures.
        visits: how often it connected and showed them.
        met_the_form: whether it ever showed the sign-in form.
    """

    shows: bool = False
    visits: int = 0
    met_the_form: bool = False

    async def keep_open(self, url: str, cookie: str, tls: ssl.SSLContext) -> None:
        """Stay connected until cancelled."""
        while True:
            async with Viewer(url, cookie, timeout=10, tls=tls) as viewer:
                try:
                    await viewer.open()
                    await viewer.until("Remaining:")
                    self.shows, self.visits = True, self.visits + 1
                    await viewer.stay()
                except ViewerError:  # no figures: the connection was lost, or the page shows the form
                    self.met_the_form |= "Username" in viewer.texts()
                self.shows = False
            await asyncio.sleep(0.5)


@contextmanager
def kept_open(url: str, cookie: str, tls: ssl.SSLContext) -> Iterator[list[Tab]]:
    """Keep ten pages open; yield them once all of them show their figures."""
    tabs, done = [Tab() for _ in range(10)], threading.Event()

    async def crowd() -> None:
        tasks = [asyncio.create_task(tab.keep_open(url, cookie, tls)) for tab in tabs]
        await asyncio.to_thread(done.wait)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    thread = threading.Thread(target=run_async, args=(crowd(),))
    thread.start()
    try:
        wait_for(lambda: all(tab.shows for tab in tabs), "figures on every page")
        yield tabs
    finally:
        done.set()
        thread.join()


@contextmanager
def reading(url: str, cookie: str, tls: ssl.SSLContext) -> Iterator[list[int | str]]:
    """Read the JSON in ten threads, each five times a second; yield the growing list of statuses and errors."""
    given: list[int | str] = []
    done = threading.Event()
    request = urllib.request.Request(f"{url}/integrations/usage", headers={"Cookie": cookie})

    def read() -> None:
        while not done.wait(0.2):
            try:
                with urllib.request.urlopen(request, timeout=15, context=tls) as answer:
                    given.append(answer.status)
            except OSError as error:
                given.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(10)]
    for reader in readers:
        reader.start()
    try:
        yield given
    finally:
        done.set()
        for reader in readers:
            reader.join()


RECORD_CONNECTION = """() => {
    const app = document.querySelector("[data-test-connection-state]");
    window.connectionStates = [];
    new MutationObserver(() => window.connectionStates.push(app.dataset.testConnectionState))
        .observe(app, {attributeFilter: ["data-test-connection-state"]});
}"""


@pytest.mark.parametrize("kind", ["file", "redis"])
def test_nobody_notices_a_rolling_restart_or_a_killed_process(
    chromium: Browser, simulator_process: SimulatorProcess, tmp_path: Path, kind: str
) -> None:
    """Two processes behind nginx are restarted in turn, then one is killed: no request fails, every page reconnects."""
    with ExitStack() as stack:
        settings = {"PANEL_CACHE_TTL_SECONDS": "1"}
        if kind == "redis":
            (tmp_path / "redis").mkdir()
            settings["PANEL_STATE_URL"] = stack.enter_context(RedisServer(tmp_path / "redis")).url
        panel = stack.enter_context(run_panel(tmp_path, simulator_process, **settings))
        servers = [panel.server, stack.enter_context(run_another_process(panel))]
        without_limits = re.sub(
            r"(?m)^ +limit_\w+ +[^;]*;\n", "", for_two_processes()
        )  # all have one address
        urls = [server.url for server in servers]
        panel.url = stack.enter_context(nginx(tmp_path, urls, without_limits))
        context = chromium.new_context(ignore_https_errors=True)
        stack.callback(context.close)
        page = context.new_page()
        sign_in(page, panel)
        expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
        page.evaluate(RECORD_CONNECTION)
        (cookie,) = [one for one in context.cookies() if "session" in one["name"]]
        tls = ssl._create_unverified_context()  # noqa: S323 - the test's own certificate
        visitor = (panel.url, f"{cookie['name']}={cookie['value']}", tls)
        with kept_open(*visitor) as tabs, reading(*visitor) as given:
            simulator_process.control(spend="1")
            for index, number in ((0, signal.SIGTERM), (1, signal.SIGTERM), (0, signal.SIGKILL)):
                servers[index].process.running.send_signal(number)
                servers[index].process.running.wait(timeout=20)
                port = int(urls[index].rpartition(":")[2])
                servers[index] = stack.enter_context(run_another_process(panel, port))
            wait_for(lambda: all(tab.shows for tab in tabs), "figures on every page again")
            expect(page.locator("[data-test-connection-state]")).to_have_attribute(
                "data-test-connection-state", "CONNECTED", timeout=15_000
            )
            expect(page.get_by_text("Remaining: 7,499 credits")).to_be_visible(timeout=15_000)
        states = page.evaluate("window.connectionStates")  # undefined if the page was loaded again
        assert len(states) > 1
        assert states[-1] == "CONNECTED"
        assert not any(tab.met_the_form for tab in tabs)
        assert all(tab.visits > 1 for tab in tabs)
        assert len(given) > 50
        assert set(given) == {200}
