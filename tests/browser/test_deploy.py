"""deploy/nginx.conf, in front of the real panel, with the real nginx."""

import asyncio
import re
import shutil
import signal
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import refresh_after_spending, sign_in
from tests.state.redis_server import RedisServer
from tests.support.processes import (
    COMMAND,
    ROOT,
    Panel,
    Process,
    SimulatorProcess,
    accepts,
    clean_environment,
    free_port,
    process,
    run_async,
    run_panel,
    serve,
    wait_for,
)
from tests.support.viewer import Viewer, ViewerError
from tests.transport.test_client import self_signed

CONFIGURATION = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")


@contextmanager
def nginx(folder: Path, panels: Sequence[str], configuration: str = CONFIGURATION) -> Iterator[str]:
    """A real nginx before these panels, under a name and a certificate of this machine; its URL.

    Args:
        folder: for its files.
        panels: the URLs of one or two, in the places of those that the configuration names.
        configuration: that of the repository, or a changed one.
    """
    port = free_port()
    pem = self_signed(folder)
    addresses = (urlsplit(url).netloc for url in panels)
    places = dict(zip(("127.0.0.1:8501", "127.0.0.1:8502"), addresses, strict=False))
    # In one pass: a port may hold the digits of another.
    own = re.sub(r"127\.0\.0\.1:\d+", lambda found: places.get(found[0], found[0]), configuration)
    own = own.replace("listen 443 ", f"listen {port} ").replace("panel.example.com;", "localhost;", 1)
    own = re.sub(r"/etc/ssl/\S+\.(pem|key)", str(pem), own)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n access_log off;\n"
        + "".join(
            f" {kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + own
        + "}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with process(command, folder / "nginx.log", clean_environment({})) as running:
        running.wait_for(lambda: accepts(port))
        yield f"https://localhost:{port}"


@pytest.fixture
def behind_nginx(panel: Panel, tmp_path: Path) -> Iterator[Panel]:
    """The panel, reached through nginx over HTTPS."""
    with nginx(tmp_path, [panel.url]) as url:
        panel.url = url
        yield panel


def test_the_panel_works_behind_our_nginx_configuration(chromium: Browser, behind_nginx: Panel) -> None:
    """Over HTTPS: sign in, read, refresh through the websocket; the cookie is Secure, HSTS is sent."""
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
    """A viewer's page without a browser: connects again by itself, as the frontend does.

    Attributes:
        shows: whether it is connected and has its figures.
        visits: how often it came to show them.
        met_the_form: whether it was ever asked to sign in.
    """

    shows: bool = False
    visits: int = 0
    met_the_form: bool = False

    async def keep_open(self, url: str, cookie: str, tls: ssl.SSLContext) -> None:
        """For ever."""
        while True:
            async with Viewer(url, cookie, timeout=10, tls=tls) as viewer:
                try:
                    await viewer.open()
                    await viewer.until("Remaining:")
                    self.shows, self.visits = True, self.visits + 1
                    await viewer.stay()
                except ViewerError:  # cut off before there were figures, or the form in their place
                    self.met_the_form |= "Username" in viewer.texts()
                self.shows = False
            await asyncio.sleep(0.5)


@contextmanager
def kept_open(url: str, cookie: str, tls: ssl.SSLContext) -> Iterator[list[Tab]]:
    """Thirty pages, from when all of them show their figures."""
    tabs, done = [Tab() for _ in range(30)], threading.Event()

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
    """Fifty who ask for the JSON five times a second; the statuses of their answers, and their failures."""
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

    readers = [threading.Thread(target=read) for _ in range(50)]
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
def test_a_rolling_restart_is_seen_by_nobody(
    chromium: Browser, simulator_process: SimulatorProcess, tmp_path: Path, kind: str
) -> None:
    """Two processes behind nginx, restarted in turn: no request fails, and every open page comes back by itself."""
    with ExitStack() as stack:
        settings = {"PANEL_CACHE_TTL_SECONDS": "1"}
        if kind == "redis":
            (tmp_path / "redis").mkdir()
            settings["PANEL_STATE_URL"] = stack.enter_context(RedisServer(tmp_path / "redis")).url
        panel = stack.enter_context(run_panel(tmp_path, simulator_process, **settings))
        own = {name: text for name, text in panel.environment.items() if name.startswith(("IMAI_", "PANEL_"))}
        ports = [int(panel.url.rpartition(":")[2]), free_port()]

        def start(port: int) -> Process:
            command = [*COMMAND, "serve", "--port", str(port)]
            return stack.enter_context(serve(command, port, tmp_path, own)).process

        processes = [panel.server.process, start(ports[1])]
        # All who read come from one address.
        configuration = re.sub(r"(?m)^ +limit_\w+ +[^;]*;\n", "", CONFIGURATION.replace("# server", "server"))
        both = [f"http://127.0.0.1:{port}" for port in ports]
        panel.url = stack.enter_context(nginx(tmp_path, both, configuration))
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
            for index, port in enumerate(ports):
                processes[index].running.send_signal(signal.SIGTERM)
                processes[index].running.wait(timeout=20)
                processes[index] = start(port)
            wait_for(lambda: all(tab.shows for tab in tabs), "figures on every page again")
            expect(page.locator("[data-test-connection-state]")).to_have_attribute(
                "data-test-connection-state", "CONNECTED", timeout=15_000
            )
            expect(page.get_by_text("Remaining: 7,499 credits")).to_be_visible(timeout=15_000)
        states = page.evaluate("window.connectionStates")  # no longer there if the page was loaded anew
        assert len(states) > 1
        assert states[-1] == "CONNECTED"
        assert not any(tab.met_the_form for tab in tabs)
        assert all(tab.visits > 1 for tab in tabs)
        assert len(given) > 100
        assert set(given) == {200}
