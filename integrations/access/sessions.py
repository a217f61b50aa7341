"""Sign-ins, kept on the server: the browser holds a random number that means nothing elsewhere."""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

TICKET_SECONDS: Final = 30.0
_RANDOM_BYTES: Final = 32


@dataclass(slots=True)
class Session:
    """One sign-in. Times are seconds of the clock given to `Sessions`."""

    user: str
    fingerprint: str
    started: float
    used: float


@dataclass(frozen=True, slots=True)
class _Ticket:
    user: str
    fingerprint: str
    expires: float


def _digest(secret: str) -> str:
    # Looked up by digest: a comparison's timing then tells nothing of the secret.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """The table of sign-ins and of tickets not yet exchanged. Safe from any thread.

    Args:
        clock: seconds; only differences count.
        longest: seconds a sign-in lives at the most.
        idle: seconds it lives unused.
    """

    def __init__(self, *, clock: Callable[[], float], longest: float, idle: float) -> None:
        self._clock = clock
        self._longest = longest
        self._idle = idle
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._tickets: dict[str, _Ticket] = {}

    def issue_ticket(self, user: str, fingerprint: str) -> str:
        """A secret that can be exchanged once, within 30 seconds, for a session."""
        ticket = secrets.token_urlsafe(_RANDOM_BYTES)
        now = self._clock()
        with self._lock:
            self._tickets = {key: kept for key, kept in self._tickets.items() if now < kept.expires}
            self._tickets[_digest(ticket)] = _Ticket(user, fingerprint, now + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The id of a new session for a ticket, or None where it is unknown, used or too old."""
        now = self._clock()
        with self._lock:
            found = self._tickets.pop(_digest(ticket), None)
            if found is None or now >= found.expires:
                return None
            session_id = secrets.token_urlsafe(_RANDOM_BYTES)
            self._drop_expired(now)
            self._sessions[_digest(session_id)] = Session(found.user, found.fingerprint, now, now)
            return session_id

    def find(self, session_id: str) -> Session | None:
        """The session behind an id, expired or not."""
        with self._lock:
            return self._sessions.get(_digest(session_id))

    def expiry(self, session: Session) -> str | None:
        """Why a session is over by time, or None while it is not."""
        now = self._clock()
        if now - session.started >= self._longest:
            return "too old"
        return "unused for too long" if now - session.used >= self._idle else None

    def touch(self, session: Session) -> None:
        """Note that a person used the session."""
        session.used = self._clock()

    def end(self, session_id: str) -> Session | None:
        """Forget a session; gives what it was, to whoever was first."""
        with self._lock:
            return self._sessions.pop(_digest(session_id), None)

    def _drop_expired(self, now: float) -> None:
        # Sessions that nobody has asked for since they ended; any other is ended, and logged, when it is asked for.
        limit = self._longest + self._idle
        self._sessions = {
            key: session for key, session in self._sessions.items() if now - session.used < limit
        }
