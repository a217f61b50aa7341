"""The sign-in form and what stands behind it, as a person sees it."""

import hmac
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import time_machine
from streamlit.runtime.context import ContextProxy, StreamlitHeaders
from streamlit.testing.v1 import AppTest

from integrations.access import SignInRefused, auth, store_edit
from integrations.demo.server import Simulator
from tests.conftest import PASSWORD, AddUser
from tests.ui.test_card import written

APP = Path(__file__).parents[2] / "app.py"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
Visit = Callable[..., AppTest]


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Opens the page in a browser that holds this session id: `visit(session_id)`; further headers may follow."""

    def open_page(session_id: str | None = None, *headers: tuple[str, str]) -> AppTest:
        cookie = [("Cookie", f"{auth().cookie_name}={session_id}")] if session_id else []
        sent = StreamlitHeaders([*cookie, *headers])
        monkeypatch.setattr(ContextProxy, "headers", property(lambda _self: sent))
        return answered(AppTest.from_file(str(APP), default_timeout=20).run())

    return open_page


def answered(page: AppTest) -> AppTest:
    """Run the page until no provider is being called; on a busy machine one run does not wait long enough."""
    for _ in range(100):
        if "Refreshing …" not in written(page):
            break
        page.run()
    return page


@pytest.fixture(autouse=True)
def _users(add_user: AddUser, imai: Simulator) -> None:
    add_user("alice", roles=["admin"], password=HASHED, first_name="Alice")
    add_user("victor", roles=["guest"], password=HASHED)


def signed_in(name: str = "alice") -> str:
    """The session id after the right password."""
    session_id = auth().redeem(auth().sign_in(name, PASSWORD))
    assert session_id is not None
    return session_id


def log_in(page: AppTest, name: str, password: str) -> AppTest:
    """Fill in the form and send it."""
    page.text_input[0].input(name)
    page.text_input[1].input(password)
    return page.button[0].click().run()


def texts(page: AppTest) -> list[str]:
    """Everything that is written on the page."""
    elements: list[Any] = [*page.main, *page.sidebar]
    return [str(getattr(element, "value", "") or getattr(element, "label", "")) for element in elements]


def assert_only_the_form(page: AppTest) -> None:
    """The form and nothing else."""
    assert not page.exception
    assert [box.label for box in page.text_input] == ["Username", "Password"]
    assert [button.label for button in page.button] == ["Login"]
    assert len(page.sidebar) == 0
    assert [title.value for title in page.title] in ([], ["Login"])
    assert not any("Remaining" in text for text in texts(page))


def test_without_a_session_there_is_the_form_and_nothing_else(visit: Visit, imai: Simulator) -> None:
    """No sidebar, no heading, no card, and no call to a provider."""
    assert_only_the_form(visit())
    assert imai.calls == 0


@pytest.mark.parametrize("cookie", ["x" * 43, "x" * 5000, "\ud800", "e30.e30.", "../../etc/passwd"])
def test_a_forged_cookie_gets_the_form(visit: Visit, imai: Simulator, cookie: str) -> None:
    """There is neither a traceback nor a call to a provider."""
    assert_only_the_form(visit(cookie))
    assert imai.calls == 0


def token(key: str | None = None, **claims: object) -> str:
    """A JSON Web Token (RFC 7519), signed with HMAC-SHA256, or by nobody."""
    header = {"alg": "HS256" if key else "none", "typ": "JWT"}
    head = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    signature = hmac.digest(key.encode(), head, "sha256") if key else b""
    return b".".join((head, urlsafe_b64encode(signature).rstrip(b"="))).decode()


@pytest.mark.parametrize("name", ["unused", "some_cookie_name", "init", "", "streamlit_cookie"])
@pytest.mark.parametrize(
    "content",
    [
        token(username="alice", exp_date=9e9),
        token(username="alice"),
        token("unused", username="alice", exp_date=9e9),
        token("some_key", username="alice"),
        "x",
        "",
        "\ud800",
    ],
)
def test_a_cookie_of_any_other_name_gets_the_form(
    monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    """A neighbour on another port or subdomain can set one; no part of the sign-in reads it."""
    cookie = [("Cookie", f"{name}={content}")]
    monkeypatch.setattr(ContextProxy, "headers", property(lambda _self: StreamlitHeaders(cookie)))
    assert_only_the_form(AppTest.from_file(str(APP), default_timeout=20).run())


def test_the_form_begins_with_a_heading_and_is_known_to_password_managers(visit: Visit) -> None:
    """The library's form, drawn by ours: one h1, the purpose of each field, one primary button."""
    page = visit()
    assert [title.value for title in page.title] == ["Login"]
    assert [box.proto.autocomplete for box in page.text_input] == ["username", "current-password"]
    assert page.button[0].proto.type == "primary"


def test_the_password_is_not_shown_while_it_is_typed(visit: Visit) -> None:
    """The field hides what is typed."""
    page = visit()
    assert page.text_input[1].proto.type == page.text_input[1].proto.PASSWORD


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("alice", "x" * 5000)]
)
def test_a_wrong_sign_in_is_told_in_one_sentence(
    visit: Visit, imai: Simulator, name: str, password: str
) -> None:
    """The same for an unknown name, a wrong password and an over-long one; the form stays."""
    page = log_in(visit(), name, password)
    assert [error.value for error in page.error] == ["Username or password is incorrect."]
    assert_only_the_form(page)
    assert imai.calls == 0


def test_a_second_wrong_password_changes_the_sentence(visit: Visit) -> None:
    """Otherwise nothing would show that it was tried."""
    page = visit()
    said = []
    for password in ("wrong", "wrong again", "x"):
        page = log_in(page, "alice", password)
        said += [error.value for error in page.error]
    assert said == [
        "Username or password is incorrect.",
        "Username or password is incorrect (attempt 2).",
        "Username or password is incorrect (attempt 3).",
    ]


@pytest.mark.parametrize(("name", "password"), [("", ""), ("alice", ""), ("", PASSWORD)])
def test_an_empty_field_is_asked_for(visit: Visit, name: str, password: str) -> None:
    """It costs no attempt."""
    page = visit()
    for _ in range(7):
        page = log_in(page, name, password)
        assert len(page.error) == 1
    assert not isinstance(auth().sign_in("alice", PASSWORD), SignInRefused)


def test_after_five_guesses_the_person_is_told_to_wait(visit: Visit) -> None:
    """Then even the right password waits."""
    page = visit()
    for _ in range(5):
        page = log_in(page, "alice", "wrong")
    page = log_in(page, "alice", PASSWORD)
    assert [error.value for error in page.error] == ["Too many attempts. Try again later."]


def test_the_right_password_begins_the_exchange_and_shows_nothing_yet(visit: Visit, imai: Simulator) -> None:
    """Who is signed in is known by the cookie alone: without it, there is no page after the right password."""
    page = log_in(visit(), "alice", PASSWORD)
    assert not page.exception
    assert not page.error
    assert not page.text_input
    assert len(page.sidebar) == 0
    assert imai.calls == 0


def test_nothing_in_the_page_s_state_makes_an_admin(visit: Visit, imai: Simulator) -> None:
    """Whatever the form's library would believe in the session's state is not believed."""
    page = visit()
    for key, value in {
        "authentication_status": True, "username": "alice", "name": "Alice", "roles": ["admin"], "logout": None,
    }.items():  # fmt: skip
        page.session_state[key] = value
    assert_only_the_form(page.run())
    assert imai.calls == 0


def test_a_session_shows_the_page(visit: Visit) -> None:
    """The cookie's session is the user."""
    page = visit(signed_in())
    assert not page.exception
    assert page.title[0].value == "Integrations"
    assert page.sidebar.text[0].value == "Alice"


@pytest.mark.parametrize(
    "name", ["**admin** <script>alert(1)</script>", ":red[x]", "$x^2$", "[a](http://evil.test)", "# h"]
)
def test_a_hostile_name_is_shown_as_it_stands(visit: Visit, add_user: AddUser, name: str) -> None:
    """The sidebar has it in an element that knows neither markdown nor HTML."""
    add_user("eve", roles=["admin"], password=HASHED, first_name=name)
    page = visit(signed_in("eve"))
    assert page.sidebar.text[0].value == name
    assert not any(name in block.value for block in page.markdown)


def _log_out(_folder: Path, session_id: str) -> None:
    auth().sign_out(session_id)


def _demote(folder: Path, _session_id: str) -> None:
    _edit(folder, roles=["viewer"])


def _new_password(folder: Path, _session_id: str) -> None:
    _edit(folder, password=HASHED[:-1] + ("." if HASHED[-1] != "." else "/"))


def _remove(folder: Path, _session_id: str) -> None:
    store_edit.change(folder / "auth.yaml", lambda content: store_edit.without_user(content, "alice"))


def _edit(folder: Path, **changes: object) -> None:
    store_edit.change(
        folder / "auth.yaml",
        lambda content: store_edit.with_user(
            content, "alice", content.users["alice"].model_copy(update=changes)
        ),
    )


@pytest.mark.parametrize("end", [_log_out, _demote, _new_password, _remove])
@pytest.mark.parametrize("action", ["run", "Refresh", "Refresh all", "Log out"])
def test_a_live_page_is_cleared_at_its_next_use(
    visit: Visit, imai: Simulator, tmp_path: Path, action: str, end: Callable[[Path, str], None]
) -> None:
    """After log-out elsewhere, demotion, a new password or removal: the form, and no provider is called."""
    session_id = signed_in()
    page = visit(session_id)
    calls = imai.calls
    end(tmp_path, session_id)
    if action == "run":
        page.run()
    else:
        next(button for button in page.button if button.label == action).click().run()
    assert_only_the_form(page)
    assert imai.calls == calls


def test_the_form_tells_that_a_session_has_ended(visit: Visit, tmp_path: Path) -> None:
    """After Log out on this page it need not."""
    session_id = signed_in()
    page = visit(session_id)
    _log_out(tmp_path, session_id)
    page.run()
    assert_only_the_form(page)
    assert [info.value for info in page.info] == ["Your session has ended. Please log in again."]
    page = visit(signed_in())
    next(button for button in page.button if button.label == "Log out").click().run()
    assert not page.info


def test_log_out_ends_the_session_and_shows_the_form(visit: Visit) -> None:
    """The same tab is at the form again, and the cookie that it still holds is worth nothing."""
    session_id = signed_in()
    page = visit(session_id)
    next(button for button in page.button if button.label == "Log out").click().run()
    assert_only_the_form(page)
    assert_only_the_form(visit(session_id))


def test_what_the_page_runs_by_itself_is_no_use(visit: Visit) -> None:
    """Runs without a click, as after a lost connection, do not keep the session; opening the page and a click do."""
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        session_id = signed_in()
        clock.shift(59 * 60)
        page = visit(session_id)  # use: it was opened
        clock.shift(59 * 60)
        next(button for button in page.button if button.label == "Refresh all").click().run()  # use: a click
        clock.shift(59 * 60)
        assert page.run().title  # no use
        clock.shift(60)
        assert_only_the_form(page.run())


def test_a_page_that_comes_back_after_a_lost_connection_is_no_use(
    visit: Visit,
) -> None:
    """Where the server has forgotten the page meanwhile, its first run is still not a person's."""
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        session_id = signed_in()
        lost = ("Sec-WebSocket-Protocol", "streamlit, token, 6f1c-the-session-it-had")
        clock.shift(59 * 60)
        assert visit(session_id, lost).title
        clock.shift(60)
        assert_only_the_form(visit(session_id, lost))


@pytest.mark.parametrize("signed_in_before", [False, True])
def test_a_store_that_breaks_shows_one_sentence(
    visit: Visit,
    imai: Simulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    signed_in_before: bool,
) -> None:
    """Nobody new gets in and nobody stays in: no form, no card, no traceback, one line in the log."""
    page = visit(signed_in() if signed_in_before else None)
    calls = imai.calls
    (tmp_path / "auth.yaml").write_text("roles: [")
    caplog.clear()
    page.run()
    page.run()
    assert [error.value for error in page.error] == ["Sign-in is unavailable."]
    assert not page.exception
    assert not page.text_input
    assert not page.title
    assert len(page.sidebar) == 0
    assert imai.calls == calls
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_the_form_comes_back_when_the_store_is_mended(visit: Visit, tmp_path: Path) -> None:
    """No restart is needed."""
    path = tmp_path / "auth.yaml"
    good = path.read_bytes()
    path.write_text("roles: [")
    page = visit()
    path.write_bytes(good)
    assert_only_the_form(page.run())


@pytest.mark.parametrize("text", [None, "roles: {}\ncredentials: {usernames: {}}\n"])
def test_without_any_user_the_page_says_so(visit: Visit, tmp_path: Path, text: str | None) -> None:
    """A new panel is not broken: the sentence says what is missing and where the command stands; no form is drawn."""
    store = tmp_path / "auth.yaml"
    store.unlink()
    if text is not None:
        store.write_text(text, encoding="utf-8")
        store.chmod(0o600)
    page = visit(None)
    assert [error.value for error in page.error] == [
        "No user exists yet. The panel's log names the command that adds the first."
    ]
    assert not page.text_input
