"""deploy/nginx.conf, in front of the real panel, with the real nginx."""

import re
import shutil
import signal
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import sign_in, wait_for_clicks
from tests.harness import COMMAND, ROOT, Panel, Process, accepts, clean_environment, free_port, process, serve
from tests.transport.test_client import self_signed

CONFIGURATION = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")


@contextmanager
def nginx(folder: Path, configuration: str) -> Iterator[str]:
    """A real nginx with this configuration, under a name and a certificate of this machine; its URL."""
    port = free_port()
    pem = self_signed(folder)
    own = configuration.replace("443", str(port)).replace("panel.example.com;", "localhost;", 1)
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
    with nginx(tmp_path, CONFIGURATION.replace("8501", panel.url.rpartition(":")[2])) as url:
        panel.url = url
        yield panel


def test_the_panel_works_behind_our_nginx_configuration(chromium: Browser, behind_nginx: Panel) -> None:
    """Over HTTPS: sign in, read, refresh through the websocket; the cookie is Secure, HSTS is sent."""
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    sign_in(page, behind_nginx)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    behind_nginx.simulator.control(spend="1")
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_text("Remaining: 7,499 credits")).to_be_visible()
    (cookie,) = [cookie for cookie in context.cookies() if "session" in cookie["name"]]
    assert cookie["name"] == "__Host-integrations-session"
    assert cookie["secure"]
    answer = page.reload()
    assert answer is not None
    assert "max-age" in str(answer.header_value("strict-transport-security"))
    context.close()


def test_a_rolling_restart_is_seen_by_nobody(chromium: Browser, panel: Panel, tmp_path: Path) -> None:
    """Two processes behind nginx, restarted in turn under 50 who read: no request fails, nobody is signed out."""
    own = {name: text for name, text in panel.environment.items() if name.startswith(("IMAI_", "PANEL_"))}
    ports = [int(panel.url.rpartition(":")[2]), free_port()]
    configuration = CONFIGURATION.replace("8501", str(ports[0])).replace("# server", "server")
    configuration = configuration.replace("8502", str(ports[1]))
    configuration = re.sub(
        r"(?m)^ +limit_\w+ +[^;]*;\n", "", configuration
    )  # all who read come from one address
    failures: list[str] = []
    answers: list[int] = []
    done = threading.Event()
    context = ssl._create_unverified_context()  # noqa: S323 - the test's own certificate

    def read(request: urllib.request.Request) -> None:
        while not done.wait(0.2):
            try:
                with urllib.request.urlopen(request, timeout=15, context=context) as answer:
                    answers.append(answer.status)
            except OSError as error:
                failures.append(str(error))

    with ExitStack() as stack:

        def start(port: int) -> Process:
            command = [*COMMAND, "serve", "--port", str(port)]
            return stack.enter_context(serve(command, port, tmp_path, own)).process

        processes = [panel.server.process, start(ports[1])]
        panel.url = stack.enter_context(nginx(tmp_path, configuration))
        page = chromium.new_context(ignore_https_errors=True).new_page()
        sign_in(page, panel)
        expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
        (cookie,) = [one for one in page.context.cookies() if "session" in one["name"]]
        headers = {"Cookie": f"{cookie['name']}={cookie['value']}"}
        request = urllib.request.Request(f"{panel.url}/integrations/usage", headers=headers)
        readers = [threading.Thread(target=read, args=(request,)) for _ in range(50)]
        for reader in readers:
            reader.start()
        for index, port in enumerate(ports):
            processes[index].running.send_signal(signal.SIGTERM)
            processes[index].running.wait(timeout=20)
            processes[index] = start(port)
        done.set()
        for reader in readers:
            reader.join()
        assert failures == []
        assert len(answers) > 100
        assert set(answers) == {200}
        panel.simulator.control(spend="1")
        wait_for_clicks(page)
        page.get_by_role("button", name="Refresh", exact=True).click()
        expect(page.get_by_text("Remaining: 7,499 credits")).to_be_visible(timeout=15_000)
        page.context.close()
