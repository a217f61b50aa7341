"""docs/deploy.md: its nginx configuration, in front of the real panel, with the real nginx."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import sign_in, wait_for_clicks
from tests.harness import ROOT, Panel, accepts, clean_environment, free_port, process
from tests.transport.test_client import self_signed

DOCUMENT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
SERVER = re.findall(r"```nginx\n(.*?)```", DOCUMENT, re.DOTALL)[0]


@pytest.fixture
def behind_nginx(panel: Panel, tmp_path: Path) -> Iterator[Panel]:
    """The panel, reached through nginx over HTTPS."""
    port = free_port()
    pem = self_signed(tmp_path)
    server = SERVER.replace("443", str(port)).replace("panel.example.com;", "localhost;", 1)
    server = re.sub(r"/etc/ssl/\S+\.(pem|key)", str(pem), server)
    server = server.replace("http://127.0.0.1:8501", panel.url)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{\n access_log off;\n"
        + "".join(
            f" {kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + server
        + "}\n"
    )
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with process(command, tmp_path / "nginx.log", clean_environment({})) as running:
        running.wait_for(lambda: accepts(port))
        panel.url = f"https://localhost:{port}"
        yield panel


def test_the_panel_works_behind_the_documented_nginx(chromium: Browser, behind_nginx: Panel) -> None:
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
