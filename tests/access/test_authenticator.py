"""The authenticator, and those who try to get past it."""

import hmac
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
import time_machine

from integrations.access import (
    INTEGRATION_READ,
    Authenticator,
    Denial,
    Principal,
    SignInRefused,
    auth,
    store_edit,
)
from integrations.access.authenticator import token_digest
from integrations.access.credentials import Token
from integrations.settings import panel_settings
from integrations.state import StateError, state
from tests.conftest import PASSWORD, AddUser

HASHED = bcrypt.hashpw(
    PASSWORD.encode(), bcrypt.gensalt(4)
).decode()  # little work: the passwords' tests have it all
OTHER_HASH = bcrypt.hashpw(b"another-password", bcrypt.gensalt(4)).decode()


@pytest.fixture
def authenticator(add_user: AddUser, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    """An authenticator whose store has the admin `alice` and the viewer `victor`: 12 hours, 60 minutes unused."""
    monkeypatch.setenv("PANEL_SESSION_HOURS", "12")
    monkeypatch.setenv("PANEL_SESSION_IDLE_MINUTES", "60")
    add_user("alice", roles=["admin"], first_name="Alice", last_name="Ng", password=HASHED)
    add_user("victor", roles=["guest"], password=HASHED)
    return auth()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The clock, moved by hand."""
    with time_machine.travel(1_800_000_000, tick=False) as moved:
        yield moved


def signed_in(authenticator: Authenticator, name: str = "alice") -> str:
    """The session id that the browser has after the right password."""
    ticket = authenticator.sign_in(name, PASSWORD)
    assert not isinstance(ticket, SignInRefused), ticket
    session_id = authenticator.redeem(ticket)
    assert session_id is not None
    return session_id


def edit(tmp_path: Path, **changes: object) -> None:
    """Change alice's entry."""
    store_edit.change(
        tmp_path / "auth.yaml",
        lambda content: store_edit.with_user(
            content, "alice", content.users["alice"].model_copy(update=changes)
        ),
    )


def audit_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the audit log says."""
    return [record.getMessage() for record in caplog.records if record.name == "integrations.audit"]


def test_the_right_password_gives_a_session(authenticator: Authenticator) -> None:
    """The session gives the user, with name, roles and permissions as the store has them now."""
    principal = authenticator.authenticate(signed_in(authenticator))
    assert isinstance(principal, Principal)
    assert (principal.name, principal.display_name) == ("alice", "Alice Ng")
    assert principal.may(INTEGRATION_READ)


def test_a_user_without_names_is_shown_by_the_user_name(authenticator: Authenticator) -> None:
    """The user name stands for a missing first and last name."""
    principal = authenticator.authenticate(signed_in(authenticator, "victor"))
    assert isinstance(principal, Principal)
    assert principal.display_name == "victor"
    assert not principal.may(INTEGRATION_READ)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("nobody", PASSWORD),
        ("alice", ""),
        ("", ""),
        ("alice", PASSWORD + "\0"),
        ("alice", "x" * 100_000),
        ("a" * 100_000, PASSWORD),
        ("alice\n", "wrong"),
        ("\ud800", "\ud800"),
    ],
)
def test_every_wrong_sign_in_gets_the_same_answer(
    authenticator: Authenticator, name: str, password: str
) -> None:
    """An unknown name and a wrong password get the same words."""
    assert authenticator.sign_in(name, password) is SignInRefused.WRONG
    assert str(SignInRefused.WRONG) == "Username or password is incorrect."


def test_a_name_may_be_typed_in_capitals(authenticator: Authenticator) -> None:
    """Spellings of a name in capitals or with spaces sign in as it, and share its attempts."""
    assert not isinstance(authenticator.sign_in(" ALICE ", PASSWORD), SignInRefused)
    for typed in ("alice", "Alice", " alice", "ALICE", "ALice "):
        assert authenticator.sign_in(typed, "wrong") is SignInRefused.WRONG
    assert authenticator.sign_in("aliCE", PASSWORD) is SignInRefused.THROTTLED


def test_forty_parallel_guesses_are_five(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly five reach bcrypt; the others are told to wait, and so is the right password among them."""
    evaluated: list[bytes] = []

    def slow(password: bytes, _hashed: bytes) -> bool:
        evaluated.append(password)
        return False

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    with ThreadPoolExecutor(40) as pool:
        outcomes = list(pool.map(lambda guess: authenticator.sign_in("alice", f"guess {guess}"), range(40)))
    assert len(evaluated) == 5
    assert outcomes.count(SignInRefused.WRONG) == 5
    assert outcomes.count(SignInRefused.THROTTLED) == 35
    assert str(SignInRefused.THROTTLED) == "Too many attempts. Try again later."


def test_time_unlocks_and_nothing_else(authenticator: Authenticator, clock: time_machine.Traveller) -> None:
    """The right password is refused while the lock stands, and accepted 15 minutes after the guesses."""
    for _ in range(5):
        authenticator.sign_in("alice", "wrong")
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.THROTTLED
    clock.shift(15 * 60 - 1)
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.THROTTLED
    clock.shift(2)
    assert not isinstance(authenticator.sign_in("alice", PASSWORD), SignInRefused)


def test_a_lock_keeps_nobody_in_or_out_who_is_signed_in(authenticator: Authenticator) -> None:
    """Somebody else's guessing does not end a session."""
    session_id = signed_in(authenticator)
    for _ in range(10):
        authenticator.sign_in("alice", "wrong")
    assert isinstance(authenticator.authenticate(session_id), Principal)


def test_a_ticket_is_good_once_and_for_30_seconds(
    authenticator: Authenticator, clock: time_machine.Traveller
) -> None:
    """A ticket that was used, is older, or was never issued gives no session."""
    first, late = authenticator.sign_in("alice", PASSWORD), authenticator.sign_in("alice", PASSWORD)
    assert authenticator.redeem(first) is not None
    assert authenticator.redeem(first) is None
    clock.shift(30)
    assert authenticator.redeem(late) is None
    for forged in ("", "x" * 43, "x" * 1_000_000, "\ud800"):
        assert authenticator.redeem(forged) is None


def test_a_ticket_taken_before_a_change_opens_nothing_after_it(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    """A user who was changed between password and exchange gets no session by that ticket."""
    ticket = authenticator.sign_in("alice", PASSWORD)
    edit(tmp_path, password=OTHER_HASH)
    assert authenticator.authenticate(authenticator.redeem(ticket)) is Denial.SIGNED_OUT


@pytest.mark.parametrize("forged", [None, "", "x", "0" * 43, "x" * 1_000_000, "\ud800", "' OR 1=1", "alice"])
def test_a_forged_cookie_opens_nothing(authenticator: Authenticator, forged: str | None) -> None:
    """A cookie that is absent, too short, too long or hostile means signed out, without an error."""
    signed_in(authenticator)
    assert authenticator.authenticate(forged) is Denial.SIGNED_OUT
    assert authenticator.authenticate(forged, touch=True) is Denial.SIGNED_OUT
    authenticator.sign_out(forged)


def test_a_truncated_or_prolonged_cookie_opens_nothing(authenticator: Authenticator) -> None:
    """An id that lacks a character or has one too many finds no session."""
    session_id = signed_in(authenticator)
    for near in (session_id[:-1], session_id + "A", session_id.swapcase(), session_id + " ", session_id * 3):
        assert authenticator.authenticate(near) is Denial.SIGNED_OUT
    assert isinstance(authenticator.authenticate(session_id), Principal)


def _removed(tmp_path: Path) -> None:
    store_edit.change(tmp_path / "auth.yaml", lambda content: store_edit.without_user(content, "alice"))


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("password or roles changed", lambda folder: edit(folder, password=OTHER_HASH)),
        ("password or roles changed", lambda folder: edit(folder, roles=["viewer"])),
        ("password or roles changed", lambda folder: edit(folder, roles=[])),
        ("password or roles changed", lambda folder: edit(folder, roles=["admin", "viewer"])),
        ("user removed", _removed),
    ],
)
def test_a_stolen_cookie_is_dead_after_a_change(
    authenticator: Authenticator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    reason: str,
    change: Callable[[Path], None],
) -> None:
    """Each of the user's sessions ends at its next use, stays ended when the change is undone, and the log says why."""
    before = (tmp_path / "auth.yaml").read_bytes()
    mine, stolen = signed_in(authenticator), signed_in(authenticator)
    other = signed_in(authenticator, "victor")
    change(tmp_path)
    assert authenticator.authenticate(stolen) is Denial.SIGNED_OUT
    assert authenticator.authenticate(mine, touch=True) is Denial.SIGNED_OUT
    assert isinstance(authenticator.authenticate(other), Principal)
    assert audit_lines(caplog)[-2:] == [f"session ended: user='alice' {reason} client=unknown"] * 2
    (tmp_path / "auth.yaml").write_bytes(before)
    assert authenticator.authenticate(stolen) is Denial.SIGNED_OUT


def test_a_copied_cookie_is_dead_after_log_out(authenticator: Authenticator) -> None:
    """The session is gone from the server for every copy of its id, and another sign-in stands."""
    session_id, elsewhere = signed_in(authenticator), signed_in(authenticator)
    authenticator.sign_out(session_id)
    assert authenticator.authenticate(session_id) is Denial.SIGNED_OUT
    assert isinstance(authenticator.authenticate(elsewhere), Principal)


def test_what_changes_nothing_of_the_access_ends_no_session(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    """A new e-mail address or first name leaves the session as it is."""
    session_id = signed_in(authenticator)
    edit(tmp_path, email="new@example.com", first_name="Alicia")
    principal = authenticator.authenticate(session_id)
    assert isinstance(principal, Principal)
    assert principal.display_name == "Alicia Ng"


def test_a_role_that_loses_its_permission_loses_it_at_once(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    """Permissions are those of the store at this moment, not those of the sign-in."""
    session_id = signed_in(authenticator)
    store_edit.change(
        tmp_path / "auth.yaml",
        lambda content: content.model_copy(update={"roles": {"admin": ["billing:*"], "guest": []}}),
    )
    principal = authenticator.authenticate(session_id)
    assert isinstance(principal, Principal)
    assert not principal.may(INTEGRATION_READ)


def test_an_unused_session_ends_and_looking_is_no_use(
    authenticator: Authenticator, clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    """What a page reads by itself every minute does not prolong the session."""
    session_id = signed_in(authenticator)
    for _ in range(59):
        clock.shift(60)
        assert isinstance(authenticator.authenticate(session_id), Principal)
    clock.shift(60)
    assert authenticator.authenticate(session_id) is Denial.SIGNED_OUT
    assert audit_lines(caplog)[-1] == "session ended: user='alice' unused for too long client=unknown"


def test_use_keeps_a_session_until_its_longest_life(
    authenticator: Authenticator, clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    """Clicking on does not carry a session beyond 12 hours."""
    session_id = signed_in(authenticator)
    for _ in range(23):
        clock.shift(30 * 60)
        assert isinstance(authenticator.authenticate(session_id, touch=True), Principal)
    clock.shift(30 * 60)
    assert authenticator.authenticate(session_id, touch=True) is Denial.SIGNED_OUT
    assert audit_lines(caplog)[-1] == "session ended: user='alice' too old client=unknown"


def test_a_new_sign_in_ends_the_session_whose_cookie_it_replaces(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    """The browser forgets the old id, so nobody could end the old session there."""
    old = signed_in(authenticator)
    new = authenticator.redeem(authenticator.sign_in("alice", PASSWORD), replaces=old)
    assert authenticator.authenticate(old) is Denial.SIGNED_OUT
    assert isinstance(authenticator.authenticate(new), Principal)
    assert "session ended: user='alice' replaced by a new sign-in client=unknown" in audit_lines(caplog)


def test_a_bad_ticket_ends_no_session(authenticator: Authenticator) -> None:
    """An exchange with a forged ticket leaves the session of its cookie alone."""
    session_id = signed_in(authenticator)
    assert authenticator.redeem("forged", replaces=session_id) is None
    assert isinstance(authenticator.authenticate(session_id), Principal)


def test_a_store_that_breaks_lets_nobody_in_until_it_is_mended(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    """While it is broken neither new nor old sign-ins are accepted; afterwards the old ones are."""
    path = tmp_path / "auth.yaml"
    session_id, good = signed_in(authenticator), path.read_bytes()
    path.write_text("roles: [")
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    assert authenticator.authenticate(session_id, touch=True) is Denial.UNAVAILABLE
    assert authenticator.bearer("anything") is Denial.UNAVAILABLE
    assert not authenticator.available()
    assert str(SignInRefused.UNAVAILABLE) == "Sign-in is unavailable."
    path.write_bytes(good)
    assert isinstance(authenticator.authenticate(session_id, touch=True), Principal)
    assert authenticator.available()


def test_another_process_knows_the_session(authenticator: Authenticator) -> None:
    """A sign-in is good in every process, and after a restart; so are its use and its end."""
    other = Authenticator(panel_settings())
    ticket = authenticator.sign_in("alice", PASSWORD)
    session_id = other.redeem(ticket)
    assert isinstance(authenticator.authenticate(session_id, touch=True), Principal)
    other.sign_out(session_id)
    assert authenticator.authenticate(session_id) is Denial.SIGNED_OUT


def test_guesses_are_counted_over_all_processes(authenticator: Authenticator) -> None:
    """Five a name, whoever is asked; the right password gives them back everywhere."""
    other = Authenticator(panel_settings())
    for door in (authenticator, other, authenticator, other):
        assert door.sign_in("alice", "wrong") is SignInRefused.WRONG
    other.sign_in("alice", PASSWORD)
    for door in (authenticator, other, authenticator, other, authenticator):
        assert door.sign_in("alice", "wrong") is SignInRefused.WRONG
    assert other.sign_in("alice", PASSWORD) is SignInRefused.THROTTLED


def test_without_the_state_nobody_gets_in_and_all_stands_afterwards(
    add_user: AddUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is taken for signed in or out, nothing is counted and nothing is lost; a log-out that fails says so."""
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    add_user("alice", roles=["admin"], password=HASHED)
    door = Authenticator(panel_settings())
    session_id, ticket = signed_in(door), door.sign_in("alice", PASSWORD)
    (tmp_path / "state.sqlite3").chmod(0o644)
    assert door.authenticate(session_id, touch=True) is Denial.UNAVAILABLE
    assert door.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    assert door.bearer("wrong") is Denial.UNAVAILABLE
    assert not door.available()
    with pytest.raises(StateError):
        door.redeem(ticket)
    with pytest.raises(StateError):
        door.sign_out(session_id)
    (tmp_path / "state.sqlite3").chmod(0o600)
    assert isinstance(door.authenticate(session_id), Principal)
    assert door.redeem(ticket) is not None


def test_a_use_that_cannot_be_noted_is_no_refusal(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the signed-in stay so; their sessions end earlier, never later."""
    session_id = signed_in(authenticator)

    def full(*_: object) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(state(), "replace", full)
    monkeypatch.setattr(state(), "put", full)
    assert isinstance(authenticator.authenticate(session_id, touch=True), Principal)
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE


def test_a_token_is_a_machine_with_its_roles(authenticator: Authenticator, tmp_path: Path) -> None:
    """The right token reads; another one, or its digest, does not."""
    token = "integrations-test-token"
    store_edit.change(
        tmp_path / "auth.yaml",
        lambda content: content.model_copy(
            update={"tokens": {"monitor": Token(sha256=token_digest(token), roles=["admin"])}}
        ),
    )
    machine = authenticator.bearer(token)
    assert isinstance(machine, Principal)
    assert (machine.name, machine.display_name) == ("monitor", "monitor")
    assert machine.may(INTEGRATION_READ)
    for wrong in ("", token + "x", token[:-1], token_digest(token), "x" * 1_000_000, "\ud800"):
        assert authenticator.bearer(wrong) is Denial.SIGNED_OUT
    assert authenticator.authenticate(token) is Denial.SIGNED_OUT


def test_fingerprints_and_tokens_are_compared_in_constant_time(
    authenticator: Authenticator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hmac.compare_digest` alone decides whether a token or a session's fingerprint is right."""
    store_edit.change(
        tmp_path / "auth.yaml",
        lambda content: content.model_copy(
            update={"tokens": {"monitor": Token(sha256=token_digest("right"), roles=["admin"])}}
        ),
    )
    session_id = signed_in(authenticator)
    with monkeypatch.context() as patch:
        patch.setattr(hmac, "compare_digest", lambda *_: True)
        assert isinstance(authenticator.bearer("wrong"), Principal)
        patch.setattr(hmac, "compare_digest", lambda *_: False)
        assert authenticator.bearer("right") is Denial.SIGNED_OUT
        assert authenticator.authenticate(session_id) is Denial.SIGNED_OUT


def test_wrong_tokens_lock_out_neither_people_nor_the_right_token(authenticator: Authenticator) -> None:
    """Wrong tokens have a limit of their own, and people still sign in when it is reached."""
    outcomes = [authenticator.bearer("wrong") for _ in range(310)]
    assert outcomes[299] is Denial.SIGNED_OUT
    assert outcomes[300] is Denial.THROTTLED
    assert isinstance(authenticator.authenticate(signed_in(authenticator)), Principal)


def test_the_log_has_a_line_for_each_event(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    """Sign-in, sign-out, failure and lock, each with user and client; a lock once, however often it is tried."""
    client = "192.0.2.7"
    ticket = authenticator.sign_in("alice", PASSWORD, client=client)
    authenticator.sign_out(authenticator.redeem(ticket, client=client), client=client)
    for _ in range(8):
        authenticator.sign_in("victor", "wrong", client=client)
    authenticator.redeem(ticket, client=client)
    authenticator.bearer("wrong", client=client)
    assert audit_lines(caplog) == [
        "sign-in: user='alice' client=192.0.2.7",
        "sign-out: user='alice' client=192.0.2.7",
        *["sign-in failed: user='victor' client=192.0.2.7"] * 5,
        "sign-in locked: user='victor' too many attempts client=192.0.2.7",
        "ticket refused: unknown, used or too old client=192.0.2.7",
        "token refused client=192.0.2.7",
    ]


def test_a_hostile_name_cannot_forge_a_line(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks, escapes and look-alike letters are escaped in the log, and a long name is cut."""
    authenticator.sign_in(
        "eve\n2026-11-23 INFO integrations.audit: sign-in: user='alice'\x1b[2K\u202e\u2028", "wrong"
    )
    authenticator.sign_in("x" * 1_000_000, "wrong")
    for line in audit_lines(caplog):
        assert line.isprintable()
        assert line.isascii()
        assert len(line) < 300
    assert audit_lines(caplog)[0].startswith(r"""sign-in failed: user="eve\n2026-11-23 info""")


def test_no_secret_is_ever_logged(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture, clock: time_machine.Traveller
) -> None:
    """No event's line holds a password, ticket, session id, token or hash."""
    caplog.set_level(logging.DEBUG)
    ticket = authenticator.sign_in("alice", PASSWORD)
    session_id = authenticator.redeem(ticket)
    assert session_id is not None
    authenticator.redeem(ticket)
    authenticator.sign_in("alice", "guess-that-is-near")
    authenticator.authenticate(session_id[:-1])
    clock.shift(3600)
    authenticator.authenticate(session_id)
    authenticator.sign_out(signed_in(authenticator))
    authenticator.bearer("token-that-is-wrong")
    for secret in (PASSWORD, ticket, session_id, "guess-that-is-near", HASHED, "token-that-is-wrong"):
        assert secret not in caplog.text
    assert len(caplog.records) == 7


def test_refused_tickets_cannot_flood_the_log(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    """However many tickets are refused, the log gets 300 lines in 15 minutes."""
    for _ in range(400):
        authenticator.redeem("rubbish")
    assert len(audit_lines(caplog)) == 300


def test_the_cookie_is_bound_to_host_and_https_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name has the prefix `__Host-`, except where the operator says that there is no HTTPS."""
    assert Authenticator(panel_settings()).cookie_name == "__Host-integrations-session"
    panel_settings.cache_clear()
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    assert Authenticator(panel_settings()).cookie_name == "integrations-session"
