"""Sign-ins and tickets in the state."""

import time
from functools import partial

import pytest
import time_machine

from integrations.access.sessions import TICKET_SECONDS, Session, Sessions
from integrations.state import State, open_state
from tests.support.clock import Clock
from tests.support.races import races

WITHIN = "integrations.access.sessions"


@pytest.fixture
def clock() -> Clock:
    """A clock of this test's own."""
    return Clock(1_000_000.0)


@pytest.fixture
def state() -> State:
    """Where they are kept."""
    return open_state("memory://")


@pytest.fixture
def sessions(state: State, clock: Clock) -> Sessions:
    """Sign-ins that last 100 seconds, and 10 without use."""
    return Sessions(state, clock=clock, longest=100, idle=10)


def found(sessions: Sessions, session_id: str) -> Session:
    """Return a session that exists."""
    session = sessions.find(session_id)
    assert session is not None
    return session


def signed_in(sessions: Sessions, user: str = "alice") -> str:
    """Return the id of a new session."""
    session_id = sessions.redeem(sessions.issue_ticket(user, "fingerprint"))
    assert session_id is not None
    return session_id


@pytest.mark.parametrize(("good", "age"), [(True, 29.99), (False, 30.0)])
def test_a_ticket_is_valid_once_and_for_30_seconds(
    sessions: Sessions,
    clock: Clock,
    good: bool,
    age: float,
) -> None:
    """By the time in it, too, if the state still has it."""
    ticket = sessions.issue_ticket("alice", "fingerprint")
    clock.now += age
    assert (sessions.redeem(ticket) is not None) is good
    assert sessions.redeem(ticket) is None


def test_ids_and_tickets_are_256_random_bits_and_kept_as_digests(sessions: Sessions, state: State) -> None:
    """Each is 43 characters of base64, all differ, and nothing in the state can be used as a cookie."""
    tickets = [sessions.issue_ticket("alice", "fingerprint") for _ in range(100)]
    ids = [sessions.redeem(ticket) for ticket in tickets]
    assert len({*tickets, *ids}) == 200
    assert {len(secret) for secret in (*tickets, *filter(None, ids))} == {43}
    kept = state.items("")
    assert len(kept) == 100
    assert not any(secret in str(kept) for secret in (*tickets, *filter(None, ids)))
    assert all(sessions.find(key.partition(":")[2]) is None for key in kept)


def test_a_use_does_not_revive_an_ended_session(sessions: Sessions, clock: Clock) -> None:
    """A click in one tab while another tab logs out."""
    session_id = signed_in(sessions)
    session = found(sessions, session_id)
    sessions.end(session_id)
    clock.now += 1
    sessions.touch(session_id, session)
    assert sessions.find(session_id) is None


def test_use_is_noted_once_in_a_while(sessions: Sessions, clock: Clock) -> None:
    """A sixtieth of the idle time after the last note, or if the clock was set back."""
    session_id = signed_in(sessions)
    began = found(sessions, session_id).used
    for seconds, used in ((0.1, 0), (0.1, 0.2), (0.1, 0.2), (-1.3, -1)):
        clock.now += seconds
        sessions.touch(session_id, found(sessions, session_id))
        assert found(sessions, session_id).used - began == pytest.approx(used)


@pytest.mark.parametrize(("seconds", "reason"), [(5, None), (61, "clock set back")])
def test_a_clock_that_is_set_back(
    sessions: Sessions, clock: Clock, seconds: float, reason: str | None
) -> None:
    """Machines may be seconds apart; by more than a minute no session is prolonged."""
    session = found(sessions, signed_in(sessions))
    clock.now -= seconds
    assert sessions.expiry(session) == reason


def test_a_session_of_another_version_is_read(sessions: Sessions, state: State) -> None:
    """An upgrade signs nobody out: fields of a later version are ignored. Any other text is no session."""
    session_id = signed_in(sessions)
    ((key, text),) = state.items("session:").items()
    state.put(key, text.replace("{", '{"added": {"later": [1]}, ', 1), 60)
    assert found(sessions, session_id).user == "alice"
    for text in ("", "{}", "[]", '{"user": 1}'):
        state.put(key, text, 60)
        assert sessions.find(session_id) is None
    assert sessions.all() == []


def test_all_sign_ins_of_a_user_or_of_everybody_are_ended(sessions: Sessions, clock: Clock) -> None:
    """With the tickets that would become sign-ins; expired ones are not listed among the valid ones."""
    old = signed_in(sessions)
    clock.now += 10
    first, second, bob = signed_in(sessions), signed_in(sessions), signed_in(sessions, "bob")
    ticket = sessions.issue_ticket("alice", "fingerprint")
    assert [session.user for session in sessions.all()] == ["alice", "alice", "bob"]
    assert [session.user for session in sessions.end_all("alice")] == ["alice"] * 3
    assert [sessions.find(one) for one in (old, first, second)] == [None] * 3
    assert sessions.redeem(ticket) is None
    assert sessions.find(bob) is not None
    assert [session.user for session in sessions.end_all()] == ["bob"]
    assert sessions.find(bob) is None


def test_the_state_does_not_grow_for_ever(state: State) -> None:
    """Abandoned sessions and tickets expire in the state itself."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        sessions = Sessions(state, clock=time.time, longest=100, idle=10)
        signed_in(sessions)
        sessions.issue_ticket("alice", "never exchanged")
        clock.shift(TICKET_SECONDS + 1)
        assert len(state.items("ticket:")) == 0
        clock.shift(80)
        assert len(state.items("")) == 0


def test_two_exchanges_of_a_ticket_open_one_session(clock: Clock) -> None:
    """At whatever line the other one comes; the one that comes too late leaves no session behind."""
    for race in races(WITHIN):
        state = open_state("memory://")
        sessions = Sessions(state, clock=clock, longest=100, idle=10)
        exchange = partial(sessions.redeem, sessions.issue_ticket("alice", "fingerprint"))
        first, second = race(exchange, exchange)
        assert (first is None) is not (second is None)
        assert len(state.items("")) == 1


@pytest.mark.parametrize("is_exchange_first", [True, False])
def test_no_session_survives_the_end_of_all(clock: Clock, *, is_exchange_first: bool) -> None:
    """At whatever line of the exchange all are ended, or the other way round."""
    for race in races(WITHIN):
        state = open_state("memory://")
        sessions = Sessions(state, clock=clock, longest=100, idle=10)
        exchange = partial(sessions.redeem, sessions.issue_ticket("alice", "fingerprint"))

        def end_all(sessions: Sessions = sessions) -> None:
            list(sessions.end_all())

        race(exchange, end_all) if is_exchange_first else race(end_all, exchange)
        assert state.items("") == {}
