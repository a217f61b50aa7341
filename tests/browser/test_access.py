"""Authenticator in a real browser: what a person does, and what an attacker would."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import sign_in
from tests.support.processes import (
    CHROMIUM_FLAGS,
    PASSWORD,
    Panel,
    SimulatorProcess,
    chromium_path,
    run_panel,
)

REFUSED_COOKIE = "Your browser did not keep the session cookie"


class Watch:
    """What a context's pages said in the console, and which hosts they asked."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        context.on("console", lambda message: self._heard(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)


def log_in(page: Page, name: str = "alice") -> None:
    """Fill in the form that is there and send it."""
    page.get_by_role("textbox", name="Username").fill(name)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Login").click()


def expect_page(page: Page) -> None:
    """The page for those who are signed in."""
    expect(page.get_by_role("heading", name="Integrations")).to_be_visible()
    expect(page.get_by_text("Remaining: ")).to_be_visible()


def expect_form_alone(page: Page) -> None:
    """The form, and nothing of the page."""
    expect(page.get_by_role("button", name="Login")).to_be_visible()
    expect(page.get_by_role("heading", name="Integrations")).to_have_count(0)
    expect(page.get_by_text("Remaining: ")).to_have_count(0)
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)


def test_a_person_s_way_in_and_out_and_in_again(page: Page, panel: Panel) -> None:
    """Reload and second tab stay signed in; log-out ends both; the same tab gets in again, five times in a row."""
    watch = Watch(page.context)
    sign_in(page, panel)
    expect_page(page)
    page.reload()
    expect_page(page)

    second = page.context.new_page()
    second.goto(panel.url)
    expect_page(second)
    calls = panel.simulator.control()["calls"]
    page.get_by_role("button", name="Log out").click()
    expect_form_alone(page)
    second.get_by_role("button", name="Refresh", exact=True).click()
    expect_form_alone(second)
    assert panel.simulator.control()["calls"] == calls
    second.close()

    for _ in range(5):
        log_in(page)
        expect_page(page)
        page.get_by_role("button", name="Log out").click()
        expect_form_alone(page)

    page.reload()
    expect_form_alone(page)
    assert watch.complaints == []
    assert watch.hosts == {panel.url.removeprefix("http://")}
    assert "Traceback" not in panel.log
    assert page.request.get(f"{panel.url}/_stcore/host-config").json()["allowedOrigins"] == []


def test_the_cookie_is_out_of_reach_of_scripts(page: Page, panel: Panel) -> None:
    """`document.cookie` shows no session; neither does the page, its storage, or the log."""
    sign_in(page, panel)
    (cookie,) = [kept for kept in page.context.cookies() if kept["name"] == "__Host-integrations-session"]
    assert cookie["httpOnly"]
    assert cookie["secure"]
    assert cookie["sameSite"] == "Strict"
    assert (cookie["path"], cookie["domain"], cookie["expires"]) == ("/", "127.0.0.1", -1)
    secret = cookie["value"]
    assert "session" not in page.evaluate("document.cookie")
    everything = page.evaluate(
        "document.documentElement.outerHTML + JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie"
    )
    assert secret not in everything
    assert secret not in panel.log
    assert PASSWORD not in panel.log


def test_a_copied_cookie_is_dead_after_log_out(chromium: Browser, page: Page, panel: Panel) -> None:
    """A thief's browser is in while the session lives, and out with it, in the page that he has open, too."""
    sign_in(page, panel)
    thief = chromium.new_context(storage_state=page.context.storage_state())
    stolen = thief.new_page()
    stolen.goto(panel.url)
    expect_page(stolen)
    page.get_by_role("button", name="Log out").click()
    expect_form_alone(page)
    stolen.get_by_role("button", name="Refresh all").click()
    expect_form_alone(stolen)
    stolen.reload()
    expect_form_alone(stolen)
    thief.close()


@pytest.mark.parametrize(
    "command", [("remove", "alice"), ("role", "alice", "viewer"), ("password", "alice", "--password-stdin")]
)
def test_a_change_in_the_store_ends_the_live_page_at_its_next_use(
    page: Page, panel: Panel, command: tuple[str, ...]
) -> None:
    """Removed, demoted or with a new password: the next click shows the form and asks no provider."""
    sign_in(page, panel)
    expect_page(page)
    calls = panel.simulator.control()["calls"]
    panel.users(*command)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect_form_alone(page)
    assert panel.simulator.control()["calls"] == calls
    assert "session ended: user='alice'" in panel.log


def test_a_page_left_open_clears_itself_within_a_minute(page: Page, panel: Panel) -> None:
    """Without a click: within 60 seconds of the browser's clock the figures are gone."""
    page.clock.install()
    sign_in(page, panel)
    expect_page(page)
    panel.users("remove", "alice")
    page.clock.fast_forward(60_000)
    expect_form_alone(page)


def test_a_page_left_open_without_permission_clears_itself_too(page: Page, panel: Panel) -> None:
    """The refusal names nobody, but the sidebar does."""
    page.clock.install()
    sign_in(page, panel, "victor")
    expect(page.get_by_text("You don't have permission to view integrations.")).to_be_visible()
    panel.users("remove", "victor")
    page.clock.fast_forward(60_000)
    expect_form_alone(page)


def test_a_page_left_open_is_cleared_when_the_store_breaks_and_comes_back(page: Page, panel: Panel) -> None:
    """One sentence and no traceback; when the store is mended, the page is there again."""
    page.clock.install()
    sign_in(page, panel)
    store = panel.folder / "auth.yaml"
    good = store.read_bytes()
    store.write_text("roles: [")
    page.clock.fast_forward(60_000)
    expect(page.get_by_text("Sign-in is unavailable.")).to_be_visible()
    expect(page.get_by_text("Remaining: ")).to_have_count(0)
    assert len(re.findall("The sign-in store cannot be used", panel.log)) == 1
    assert "Traceback" not in panel.log
    store.write_bytes(good)
    page.clock.fast_forward(11_000)
    expect_page(page)


def test_a_page_without_a_form_has_one_as_soon_as_somebody_can_sign_in(page: Page, panel: Panel) -> None:
    """Nobody has to load it anew."""
    page.clock.install()
    store = panel.folder / "auth.yaml"
    good = store.read_bytes()
    store.write_text("roles: [")
    page.goto(panel.url)
    expect(page.get_by_text("Sign-in is unavailable.")).to_be_visible()
    expect(page.get_by_label("Username")).to_have_count(0)
    store.write_bytes(good)
    page.clock.fast_forward(11_000)
    expect_form_alone(page)


@pytest.mark.parametrize(
    "name", ["**admin** <script>alert(1)</script>", ":red[x] $x^2$ [a](http://evil.test)"]
)
def test_a_hostile_name_appears_literally(page: Page, panel: Panel, name: str) -> None:
    """Neither markdown nor HTML: the very characters."""
    watch = Watch(page.context)
    panel.users("add", "eve", "--role", "admin", "--first-name", name, "--password-stdin")
    sign_in(page, panel, "eve")
    expect(page.get_by_text(name, exact=True)).to_be_visible()
    assert watch.complaints == []
    assert watch.hosts == {panel.url.removeprefix("http://")}


def test_another_origin_gets_nothing(page: Page, panel: Panel) -> None:
    """A page on another port of this host, where the browser sends the cookie: no socket, no exchange, no frame."""
    sign_in(page, panel)
    other = page.context.new_page()
    other.goto(panel.simulator.control_url)
    socket = other.evaluate(
        """address => new Promise(done => {
            const socket = new WebSocket(address, ["streamlit", "PLACEHOLDER_AUTH_TOKEN"]);
            socket.onopen = () => done("open");
            socket.onerror = () => done("refused");
        })""",
        panel.url.replace("http", "ws") + "/_stcore/stream",
    )
    assert socket == "refused"
    for path in ("/integrations/usage", "/integrations/session"):
        fetched = other.evaluate(
            "address => fetch(address, {credentials: 'include'}).then(() => 'read', () => 'refused')",
            panel.url + path,
        )
        assert fetched == "refused"
    other.evaluate(
        """address => { const frame = document.createElement("iframe"); frame.src = address;
                        document.body.append(frame); }""",
        panel.url,
    )
    other.wait_for_function("() => window.frames.length === 1")
    expect(other.frame_locator("iframe").get_by_role("heading", name="Integrations")).to_have_count(0)


@pytest.fixture
def untrusted(chromium: Browser) -> Iterator[Page]:
    """A page in a Chromium that knows 127.0.0.1 as panel.test: over plain HTTP it keeps no Secure cookie from there."""
    flags = [*CHROMIUM_FLAGS, "--host-resolver-rules=MAP panel.test 127.0.0.1"]
    browser = chromium.browser_type.launch(executable_path=chromium_path(), args=flags)
    yield browser.new_page()
    browser.close()


def test_where_the_browser_refuses_the_cookie_the_person_is_told_why(untrusted: Page, panel: Panel) -> None:
    """Instead of the form again without a word; and trying again says it again."""
    untrusted.goto(panel.url.replace("127.0.0.1", "panel.test"))
    for _ in range(2):
        log_in(untrusted)
        expect(untrusted.get_by_text(REFUSED_COOKIE)).to_be_visible()
        expect(untrusted.get_by_role("button", name="Login")).to_be_visible()
        expect(untrusted.get_by_role("heading", name="Integrations")).to_have_count(0)


def test_on_a_trusted_network_plain_http_works_when_the_operator_says_so(
    untrusted: Page, tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """With PANEL_COOKIE_SECURE=false a browser that is as strict as Safari gets in, and the start has warned."""
    with run_panel(tmp_path, simulator_process, PANEL_COOKIE_SECURE="false") as plain:
        assert "PANEL_COOKIE_SECURE=false" in plain.log
        untrusted.goto(plain.url.replace("127.0.0.1", "panel.test"))
        log_in(untrusted)
        expect_page(untrusted)
        untrusted.reload()
        expect_page(untrusted)
        (cookie,) = [kept for kept in untrusted.context.cookies() if kept["name"] == "integrations-session"]
        assert cookie["httpOnly"]
        assert not cookie["secure"]
        assert cookie["sameSite"] == "Strict"


def test_a_failure_of_the_page_s_own_code_shows_one_sentence(
    page: Page, tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """The browser gets a friendly sentence and nothing of the inside; the log gets the traceback."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        "from integrations.readings import shared\n"
        "from integrations.cli.main import main\n"
        "def fail(*_):\n"
        "    raise RuntimeError('a secret of the inside')\n"
        "shared.of_all = fail\n"
        "main()\n"
    )
    with run_panel(tmp_path, simulator_process, command=[sys.executable, str(launcher)]) as broken:
        sign_in(page, broken)
        expect(page.get_by_text("Something went wrong. Please try again.")).to_be_visible()
        assert "secret of the inside" not in page.content()
        assert "Traceback" not in page.content()
        assert "a secret of the inside" in broken.log
