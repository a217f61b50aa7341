"""Sign-in, sessions and tokens, and the attempts to get past them."""

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
from integrations.state import StateError, state
from tests.conftest import PASSWORD, AddUser

HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()  # cheap: see the passwords' tests
OTHER_HASH = bcrypt.hashpw(b"another-password", bcrypt.gensalt(4)).decode()


@pytest.fixture
def authenticator(add_user: AddUser, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    """An authenticator with the admin `alice` and the guest `victor`: 12 hours, 60 minutes without use."""
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
    """Return the session id that the browser has after the right password."""
    ticket = authenticator.sign_in(name, PASSWORD)
    assert not isinstance(ticket, SignInRefused), ticket
    session_id = authenticator.redeem(ticket)
    assert session_id is not None
    return session_id


def principal(authenticator: Authenticator, session_id: str | None, *, touch: bool = False) -> Principal:
    """Return the user of a valid session."""
    found = authenticator.authenticate(session_id, touch=touch)
    assert isinstance(found, Principal)
    return found


def edit(folder: Path, **changes: object) -> None:
    """Change alice's entry."""
    store_edit.change(
        folder / "auth.yaml",
        lambda content: store_edit.with_user(
            content, "alice", content.users["alice"].model_copy(update=changes)
        ),
    )


def remove(folder: Path) -> None:
    """Remove alice."""
    store_edit.change(folder / "auth.yaml", lambda content: store_edit.without_user(content, "alice"))


def add_token(folder: Path, token: str) -> None:
    """Give a machine a token and the role `admin`."""
    added = {"monitor": Token(sha256=token_digest(token), roles=["admin"])}
    store_edit.change(folder / "auth.yaml", lambda content: content.model_copy(update={"tokens": added}))


def audit_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the audit log."""
    return [record.getMessage() for record in caplog.records if record.name == "integrations.audit"]


def test_the_right_password_gives_a_session(authenticator: Authenticator) -> None:
    """Of the user, with the display name and the permissions of this moment; names in capitals sign in, too."""
    alice = principal(authenticator, signed_in(authenticator, " ALICE "))
    assert (alice.name, alice.display_name, alice.may(INTEGRATION_READ)) == ("alice", "Alice Ng", True)
    victor = principal(authenticator, signed_in(authenticator, "victor"))
    assert (victor.name, victor.display_name, victor.may(INTEGRATION_READ)) == ("victor", "victor", False)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("nobody", PASSWORD),
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
    """For an unknown name as for a wrong password."""
    assert authenticator.sign_in(name, password) is SignInRefused.WRONG


def test_forty_parallel_guesses_are_five(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly five reach bcrypt, in whatever spelling of the name, known or not."""
    evaluated: list[bytes] = []

    def count(password: bytes, _hashed: bytes) -> bool:
        evaluated.append(password)
        return False

    monkeypatch.setattr(bcrypt, "checkpw", count)
    for spellings in (("alice", "Alice", " alice", "ALICE "), ("nobody",)):
        evaluated.clear()
        with ThreadPoolExecutor(40) as pool:
            outcomes = list(
                pool.map(lambda name: authenticator.sign_in(name, "guess"), (spellings * 40)[:40])
            )
        assert outcomes.count(SignInRefused.WRONG) == 5
        assert outcomes.count(SignInRefused.THROTTLED) == 35
        assert len(evaluated) == 5


def test_only_time_unlocks(authenticator: Authenticator, clock: time_machine.Traveller) -> None:
    """The right password is refused for 15 minutes after the guesses; who is signed in stays so."""
    session_id = signed_in(authenticator)
    for _ in range(5):
        authenticator.sign_in("alice", "wrong")
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.THROTTLED
    principal(authenticator, session_id, touch=True)
    clock.shift(15 * 60 - 1)
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.THROTTLED
    clock.shift(2)
    signed_in(authenticator)


def test_a_ticket_opens_nothing_after_a_change(authenticator: Authenticator, tmp_path: Path) -> None:
    """A user who was changed between password and exchange gets no session by that ticket."""
    ticket = authenticator.sign_in("alice", PASSWORD)
    edit(tmp_path, password=OTHER_HASH)
    assert authenticator.authenticate(authenticator.redeem(ticket)) is Denial.SIGNED_OUT


def test_a_forged_cookie_or_ticket_opens_nothing(authenticator: Authenticator) -> None:
    """Absent, too short, too long, hostile or nearly right: signed out, without an error."""
    session_id = signed_in(authenticator)
    near = (session_id[:-1], session_id + "A", session_id.swapcase(), session_id + " ", session_id * 3)
    for forged in (None, "", "x", "0" * 43, "x" * 1_000_000, "\ud800", "' OR 1=1", "alice", *near):
        assert authenticator.authenticate(forged) is Denial.SIGNED_OUT
        assert authenticator.authenticate(forged, touch=True) is Denial.SIGNED_OUT
        authenticator.sign_out(forged)
        assert authenticator.redeem(forged or "") is None
    principal(authenticator, session_id)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("password or roles changed", lambda folder: edit(folder, password=OTHER_HASH)),
        ("password or roles changed", lambda folder: edit(folder, roles=["viewer"])),
        ("password or roles changed", lambda folder: edit(folder, roles=[])),
        ("password or roles changed", lambda folder: edit(folder, roles=["admin", "viewer"])),
        ("user removed", remove),
    ],
)
def test_a_stolen_cookie_is_dead_after_a_change(
    authenticator: Authenticator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    reason: str,
    change: Callable[[Path], None],
) -> None:
    """Each session of the user ends at its next use, also if the change is undone, and the log has the reason."""
    before = (tmp_path / "auth.yaml").read_bytes()
    mine, stolen = signed_in(authenticator), signed_in(authenticator)
    other = signed_in(authenticator, "victor")
    change(tmp_path)
    assert authenticator.authenticate(stolen) is Denial.SIGNED_OUT
    assert authenticator.authenticate(mine, touch=True) is Denial.SIGNED_OUT
    principal(authenticator, other)
    assert audit_lines(caplog)[-2:] == [f"session ended: user='alice' {reason} client=unknown"] * 2
    (tmp_path / "auth.yaml").write_bytes(before)
    assert authenticator.authenticate(stolen) is Denial.SIGNED_OUT


def test_a_copied_cookie_is_dead_after_log_out(authenticator: Authenticator) -> None:
    """The session is gone from the server for every copy of its id; another sign-in stays."""
    session_id, elsewhere = signed_in(authenticator), signed_in(authenticator)
    authenticator.sign_out(session_id)
    assert authenticator.authenticate(session_id) is Denial.SIGNED_OUT
    principal(authenticator, elsewhere)


def test_a_change_of_names_or_permissions_ends_no_session(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    """The session has the new name, and a role's permissions of this moment, not those of the sign-in."""
    session_id = signed_in(authenticator)
    edit(tmp_path, email="new@example.com", first_name="Alicia")
    assert principal(authenticator, session_id).display_name == "Alicia Ng"
    roles = {"admin": ["billing:*"], "guest": []}
    store_edit.change(tmp_path / "auth.yaml", lambda content: content.model_copy(update={"roles": roles}))
    assert not principal(authenticator, session_id).may(INTEGRATION_READ)


def test_an_unused_session_ends(
    authenticator: Authenticator, clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    """After 60 minutes; the page's automatic reads do not prolong it."""
    session_id = signed_in(authenticator)
    for _ in range(59):
        clock.shift(60)
        principal(authenticator, session_id)
    clock.shift(60)
    assert authenticator.authenticate(session_id) is Denial.SIGNED_OUT
    assert audit_lines(caplog)[-1] == "session ended: user='alice' unused for too long client=unknown"


def test_a_used_session_ends_after_12_hours(
    authenticator: Authenticator, clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    """However often a person clicks."""
    session_id = signed_in(authenticator)
    for _ in range(23):
        clock.shift(30 * 60)
        principal(authenticator, session_id, touch=True)
    clock.shift(30 * 60)
    assert authenticator.authenticate(session_id, touch=True) is Denial.SIGNED_OUT
    assert audit_lines(caplog)[-1] == "session ended: user='alice' too old client=unknown"


def test_a_new_sign_in_ends_the_session_whose_cookie_it_replaces(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    """The browser forgets the old id, so nobody could end the old session there. A forged ticket ends none."""
    old = signed_in(authenticator)
    assert authenticator.redeem("forged", replaces=old) is None
    principal(authenticator, old)
    new = authenticator.redeem(authenticator.sign_in("alice", PASSWORD), replaces=old)
    assert authenticator.authenticate(old) is Denial.SIGNED_OUT
    principal(authenticator, new)
    assert "session ended: user='alice' replaced by a new sign-in client=unknown" in audit_lines(caplog)


def test_a_broken_store_lets_nobody_in(authenticator: Authenticator, tmp_path: Path) -> None:
    """While it is broken neither new nor old sign-ins are accepted; afterwards the old ones are."""
    path = tmp_path / "auth.yaml"
    session_id, good = signed_in(authenticator), path.read_bytes()
    path.write_text("roles: [")
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    assert authenticator.authenticate(session_id, touch=True) is Denial.UNAVAILABLE
    assert authenticator.authenticate_token("anything") is Denial.UNAVAILABLE
    assert authenticator.sign_in_blocker() is SignInRefused.UNAVAILABLE
    path.write_bytes(good)
    principal(authenticator, session_id, touch=True)
    assert authenticator.sign_in_blocker() is None


def test_without_the_state_nobody_gets_in_and_nothing_is_lost(
    add_user: AddUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody counts as signed in or out, and a log-out that fails raises an error."""
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    add_user("alice", roles=["admin"], password=HASHED)
    authenticator = auth()
    session_id, ticket = signed_in(authenticator), authenticator.sign_in("alice", PASSWORD)
    (tmp_path / "state.sqlite3").chmod(0o644)
    assert authenticator.authenticate(session_id, touch=True) is Denial.UNAVAILABLE
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    assert authenticator.authenticate_token("wrong") is Denial.UNAVAILABLE
    assert authenticator.sign_in_blocker() is SignInRefused.UNAVAILABLE
    with pytest.raises(StateError):
        authenticator.redeem(ticket)
    with pytest.raises(StateError):
        authenticator.sign_out(session_id)
    (tmp_path / "state.sqlite3").chmod(0o600)
    principal(authenticator, session_id)
    assert authenticator.redeem(ticket) is not None


def test_a_use_that_cannot_be_noted_is_no_refusal(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller
) -> None:
    """On a full disk people stay signed in; their sessions end earlier, never later."""
    session_id = signed_in(authenticator)
    clock.shift(120)

    def full(*_: object) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(state(), "replace", full)
    monkeypatch.setattr(state(), "put", full)
    principal(authenticator, session_id, touch=True)
    assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE


def test_a_token_is_a_machine_with_its_roles(authenticator: Authenticator, tmp_path: Path) -> None:
    """The right token reads; another one, or its digest, does not, and it opens no page."""
    token = "integrations-test-token"
    add_token(tmp_path, token)
    machine = authenticator.authenticate_token(token)
    assert isinstance(machine, Principal)
    assert (machine.name, machine.display_name) == ("monitor", "monitor")
    assert machine.may(INTEGRATION_READ)
    for wrong in ("", token + "x", token[:-1], token_digest(token), "x" * 1_000_000, "\ud800"):
        assert authenticator.authenticate_token(wrong) is Denial.SIGNED_OUT
    assert authenticator.authenticate(token) is Denial.SIGNED_OUT


def test_wrong_tokens_and_tickets_share_a_limit_of_their_own(
    authenticator: Authenticator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log gets 300 lines in 15 minutes; people and the right token are not locked out."""
    add_token(tmp_path, "right")
    for _ in range(200):
        authenticator.redeem("wrong")
    outcomes = [authenticator.authenticate_token("wrong") for _ in range(110)]
    assert (outcomes[99], outcomes[100]) == (Denial.SIGNED_OUT, Denial.THROTTLED)
    assert len(audit_lines(caplog)) == 300
    assert isinstance(authenticator.authenticate_token("right"), Principal)
    signed_in(authenticator)


def test_the_log_has_a_line_for_each_event(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    """With user and client; a lock once, however often it is tried, and an unknown name not as it was typed."""
    client = "192.0.2.7"
    ticket = authenticator.sign_in("alice", PASSWORD, client=client)
    authenticator.sign_out(authenticator.redeem(ticket, client=client), client=client)
    for _ in range(8):
        authenticator.sign_in("victor", "wrong", client=client)
    for _ in range(6):
        authenticator.sign_in("typed-password", "wrong", client=client)
    authenticator.redeem(ticket, client=client)
    authenticator.authenticate_token("wrong", client=client)
    assert audit_lines(caplog) == [
        "sign-in: user='alice' client=192.0.2.7",
        "sign-out: user='alice' client=192.0.2.7",
        *["sign-in failed: user='victor' client=192.0.2.7"] * 5,
        "sign-in locked: user='victor' too many attempts client=192.0.2.7",
        *["sign-in failed: user=unknown client=192.0.2.7"] * 5,
        "sign-in locked: user=unknown too many attempts client=192.0.2.7",
        "ticket refused: unknown, used or too old client=192.0.2.7",
        "token refused client=192.0.2.7",
    ]


def test_a_user_s_name_cannot_forge_a_line(
    authenticator: Authenticator, add_user: AddUser, caplog: pytest.LogCaptureFixture
) -> None:
    """Quotes and look-alike letters of a name in the store are escaped."""
    name = "eve' client=192.0.2.7 \N{CYRILLIC SMALL LETTER A}"
    add_user(name, roles=[], password=HASHED)
    authenticator.sign_in(name, "wrong")
    assert audit_lines(caplog) == [r"""sign-in failed: user="eve' client=192.0.2.7 \u0430" client=unknown"""]


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
    authenticator.authenticate_token("token-that-is-wrong")
    for secret in (PASSWORD, ticket, session_id, "guess-that-is-near", HASHED, "token-that-is-wrong"):
        assert secret not in caplog.text
    assert len(caplog.records) == 7
