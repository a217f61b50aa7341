"""The table of sign-ins."""

import time
from functools import partial

import pytest
import time_machine

from integrations.access.sessions import TICKET_SECONDS, Session, Sessions
from integrations.state import State, open_state
from tests.support.clock import Clock
from tests.support.races import races


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
    """Sign-ins of 100 seconds, 10 of them unused."""
    return Sessions(state, clock=clock, longest=100, idle=10)


def found(sessions: Sessions, session_id: str) -> Session:
    """A session that is there."""
    session = sessions.find(session_id)
    assert session is not None
    return session


def signed_in(sessions: Sessions, user: str = "alice") -> str:
    """The id of a new session."""
    session_id = sessions.redeem(sessions.issue_ticket(user, "fingerprint"))
    assert session_id is not None
    return session_id


@pytest.mark.parametrize(("good", "age"), [(True, TICKET_SECONDS - 0.01), (False, TICKET_SECONDS)])
def test_a_ticket_is_good_for_30_seconds(sessions: Sessions, clock: Clock, good: bool, age: float) -> None:  # noqa: FBT001
    """After 30 seconds it gives no session, whether or not it has been cleared away."""
    ticket = sessions.issue_ticket("alice", "fingerprint")
    clock.now += age
    assert (sessions.redeem(ticket) is not None) is good
    assert TICKET_SECONDS == 30


def test_ids_and_tickets_are_256_random_bits_and_kept_as_digests_only(
    sessions: Sessions, state: State
) -> None:
    """Each is 43 characters of base64, none like another, and nothing in the state can be used as a cookie."""
    tickets = [sessions.issue_ticket("alice", "fingerprint") for _ in range(100)]
    ids = [sessions.redeem(ticket) for ticket in tickets]
    assert len({*tickets, *ids}) == 200
    assert {len(secret) for secret in (*tickets, *filter(None, ids))} == {43}
    kept = state.items("")
    assert len(kept) == 100
    assert not any(secret in str(kept) for secret in (*tickets, *filter(None, ids)))
    assert all(sessions.find(key.partition(":")[2]) is None for key in kept)


@pytest.mark.parametrize("forged", ["", "x", "0" * 43, "\ud800", "é" * 4000])
def test_what_was_never_issued_opens_nothing(sessions: Sessions, forged: str) -> None:
    """A forged id or ticket finds nothing and raises nothing."""
    signed_in(sessions)
    assert sessions.find(forged) is None
    assert sessions.redeem(forged) is None
    assert sessions.end(forged) is None


def test_a_session_ends_when_it_is_unused_for_too_long(sessions: Sessions, clock: Clock) -> None:
    """Each use gives it the whole idle time again."""
    session_id = signed_in(sessions)
    for _ in range(3):
        clock.now += 9.9
        assert sessions.expiry(found(sessions, session_id)) is None
        sessions.touch(session_id, found(sessions, session_id))
    clock.now += 10
    assert sessions.expiry(found(sessions, session_id)) == "unused for too long"


def test_a_session_ends_at_its_age_however_much_it_is_used(sessions: Sessions, clock: Clock) -> None:
    """Use does not prolong the longest life."""
    session_id = signed_in(sessions)
    for _ in range(20):
        sessions.touch(session_id, found(sessions, session_id))
        clock.now += 5
    assert sessions.expiry(found(sessions, session_id)) == "too old"


def test_a_use_does_not_revive_an_ended_session(sessions: Sessions, clock: Clock) -> None:
    """A click in one tab while another tab logs out."""
    session_id = signed_in(sessions)
    session = found(sessions, session_id)
    sessions.end(session_id)
    clock.now += 1
    sessions.touch(session_id, session)
    assert sessions.find(session_id) is None


def test_use_is_noted_once_in_a_while(sessions: Sessions, clock: Clock) -> None:
    """A sixtieth of the idle time after the last note, or where the clock was set back: what came between is not."""
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
    """Machines may be seconds apart; by more than a minute nobody's session is prolonged."""
    session = found(sessions, signed_in(sessions))
    clock.now -= seconds
    assert sessions.expiry(session) == reason


def test_a_session_of_another_version_is_read(sessions: Sessions, state: State) -> None:
    """An upgrade signs nobody out: what a later version adds is passed over. What is no session is none."""
    session_id = signed_in(sessions)
    ((key, text),) = state.items("session:").items()
    state.put(key, text.replace("{", '{"added": {"later": [1]}, ', 1), 60)
    assert found(sessions, session_id).user == "alice"
    for text in ("", "{}", "[]", '{"user": 1}'):
        state.put(key, text, 60)
        assert sessions.find(session_id) is None
    assert sessions.all() == []


def test_all_sign_ins_of_a_user_or_of_everybody_are_ended(sessions: Sessions, clock: Clock) -> None:
    """With the tickets that would become sign-ins; those that are over are not counted among the signed in."""
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


def test_an_ended_session_is_found_no_more(sessions: Sessions) -> None:
    """Ending tells the first caller what it was, and leaves other sessions alone."""
    mine, other = signed_in(sessions), signed_in(sessions, "bob")
    ended = sessions.end(mine)
    assert ended is not None
    assert ended.user == "alice"
    assert sessions.end(mine) is None
    assert sessions.find(mine) is None
    assert sessions.find(other) is not None


def test_the_table_does_not_grow_for_ever(state: State) -> None:
    """Sessions and tickets that nobody comes back to have an end in the state itself."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        sessions = Sessions(state, clock=time.time, longest=100, idle=10)
        signed_in(sessions)
        sessions.issue_ticket("alice", "never exchanged")
        clock.shift(31)
        assert len(state.items("ticket:")) == 0
        clock.shift(80)
        assert len(state.items("")) == 0


WITHIN = "integrations.access.sessions"


def test_a_ticket_opens_one_session_whoever_signs_in_or_exchanges_it_meanwhile(clock: Clock) -> None:
    """At whatever line another thread comes, a ticket is good once, and another's ticket is not lost."""
    for race in races(WITHIN):
        sessions = Sessions(open_state("memory://"), clock=clock, longest=100, idle=10)
        ticket = sessions.issue_ticket("alice", "fingerprint")
        other, session_id = race(
            partial(sessions.issue_ticket, "bob", "fingerprint"), partial(sessions.redeem, ticket)
        )
        assert session_id is not None
        assert sessions.redeem(ticket) is None
        assert sessions.redeem(other) is not None


def test_no_session_is_lost_or_comes_back_when_another_begins_meanwhile(clock: Clock) -> None:
    """At whatever line another thread comes, its new session stands, and one that it ended stays ended."""
    for race in races(WITHIN):
        sessions = Sessions(open_state("memory://"), clock=clock, longest=100, idle=10)
        ended = signed_in(sessions)

        def end_one_and_begin_another(sessions: Sessions = sessions, ended: str = ended) -> str:
            sessions.end(ended)
            return signed_in(sessions)

        for session_id in race(partial(signed_in, sessions), end_one_and_begin_another):
            assert sessions.find(session_id) is not None
        assert sessions.find(ended) is None


def test_no_session_survives_the_end_of_all_whenever_its_ticket_is_exchanged(clock: Clock) -> None:
    """At whatever line of the exchange all are ended, or the other way round: no session is left, and no ticket."""
    for is_exchange_first in (True, False):
        for race in races(WITHIN):
            state = open_state("memory://")
            sessions = Sessions(state, clock=clock, longest=100, idle=10)
            exchange = partial(sessions.redeem, sessions.issue_ticket("alice", "fingerprint"))
            end = partial(end_all, sessions)
            race(exchange, end) if is_exchange_first else race(end, exchange)
            assert state.items("") == {}


def end_all(sessions: Sessions) -> list[Session]:
    """All that were ended."""
    return list(sessions.end_all())


def test_a_ticket_that_two_exchange_at_once_opens_one_session(clock: Clock) -> None:
    """At whatever line the other comes; the one that comes too late leaves no session behind."""
    for race in races(WITHIN):
        state = open_state("memory://")
        sessions = Sessions(state, clock=clock, longest=100, idle=10)
        exchange = partial(sessions.redeem, sessions.issue_ticket("alice", "fingerprint"))
        first, second = race(exchange, exchange)
        assert (first is None) is not (second is None)
        assert len(state.items("")) == 1
