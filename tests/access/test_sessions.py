"""The table of sign-ins."""

from functools import partial
from itertools import count

import pytest

from integrations.access.sessions import TICKET_SECONDS, Sessions
from tests.races import races


class Clock:
    """Seconds, moved by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of this test's own."""
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    """Sign-ins of 100 seconds, 10 of them unused."""
    return Sessions(clock=clock, longest=100, idle=10)


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


def test_ids_and_tickets_are_256_random_bits_and_kept_as_digests_only(sessions: Sessions) -> None:
    """Each is 43 characters of base64, none like another, and the table's keys cannot be used as cookies."""
    tickets = [sessions.issue_ticket("alice", "fingerprint") for _ in range(100)]
    ids = [sessions.redeem(ticket) for ticket in tickets]
    assert len({*tickets, *ids}) == 200
    assert {len(secret) for secret in (*tickets, *filter(None, ids))} == {43}
    assert all(
        sessions.find(digest) is None for digest in sessions._sessions
    )  # what a memory dump would show


@pytest.mark.parametrize("forged", ["", "x", "0" * 43, "\ud800", "é" * 4000])
def test_what_was_never_issued_opens_nothing(sessions: Sessions, forged: str) -> None:
    """A forged id or ticket finds nothing and raises nothing."""
    signed_in(sessions)
    assert sessions.find(forged) is None
    assert sessions.redeem(forged) is None
    assert sessions.end(forged) is None


def test_a_session_ends_when_it_is_unused_for_too_long(sessions: Sessions, clock: Clock) -> None:
    """Each use gives it the whole idle time again."""
    session = sessions.find(signed_in(sessions))
    assert session is not None
    for _ in range(3):
        clock.now += 9.9
        assert sessions.expiry(session) is None
        sessions.touch(session)
    clock.now += 10
    assert sessions.expiry(session) == "unused for too long"


def test_a_session_ends_at_its_age_however_much_it_is_used(sessions: Sessions, clock: Clock) -> None:
    """Use does not prolong the longest life."""
    session = sessions.find(signed_in(sessions))
    assert session is not None
    for _ in range(20):
        sessions.touch(session)
        clock.now += 5
    assert sessions.expiry(session) == "too old"


def test_an_ended_session_is_found_no_more(sessions: Sessions) -> None:
    """Ending tells the first caller what it was, and leaves other sessions alone."""
    mine, other = signed_in(sessions), signed_in(sessions, "bob")
    ended = sessions.end(mine)
    assert ended is not None
    assert ended.user == "alice"
    assert sessions.end(mine) is None
    assert sessions.find(mine) is None
    assert sessions.find(other) is not None


def test_a_session_outlives_the_sign_in_of_others(clock: Clock) -> None:
    """Whoever signs in meanwhile drops only what is over, however long the idle time is."""
    sessions = Sessions(clock=clock, longest=100, idle=90)
    session_id = signed_in(sessions)
    clock.now += 89
    signed_in(sessions, "bob")
    assert sessions.find(session_id) is not None


def test_the_table_does_not_grow_for_ever(sessions: Sessions, clock: Clock) -> None:
    """Sessions and tickets that nobody asks for any more are dropped in time."""
    for _ in count():
        signed_in(sessions)
        sessions.issue_ticket("alice", "never exchanged")
        clock.now += 40
        if clock.now > 1_010_000:
            break
    assert len(sessions._sessions) <= 4
    assert len(sessions._tickets) <= 1


WITHIN = "integrations.access.sessions"


def test_a_ticket_opens_one_session_whoever_signs_in_or_exchanges_it_meanwhile(clock: Clock) -> None:
    """At whatever line another thread comes, a ticket is good once, and another's ticket is not lost."""
    for race in races(WITHIN):
        sessions = Sessions(clock=clock, longest=100, idle=10)
        ticket = sessions.issue_ticket("alice", "fingerprint")
        other, session_id = race(
            partial(sessions.issue_ticket, "bob", "fingerprint"),
            partial(sessions.redeem, ticket),
        )
        assert session_id is not None
        assert sessions.redeem(ticket) is None
        assert sessions.redeem(other) is not None


def test_no_session_is_lost_or_comes_back_when_another_begins_meanwhile(clock: Clock) -> None:
    """At whatever line another thread comes, its new session stands, and one that it ended stays ended."""
    for race in races(WITHIN):
        sessions = Sessions(clock=clock, longest=100, idle=10)
        ended = signed_in(sessions)

        def end_one_and_begin_another(sessions: Sessions = sessions, ended: str = ended) -> str:
            sessions.end(ended)
            return signed_in(sessions)

        for session_id in race(partial(signed_in, sessions), end_one_and_begin_another):
            assert sessions.find(session_id) is not None
        assert sessions.find(ended) is None
