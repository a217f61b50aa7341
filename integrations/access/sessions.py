"""Sign-ins, kept on the server: the browser holds a random id that means nothing elsewhere."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from integrations.state import State

TICKET_SECONDS: Final = 30.0
_RANDOM_BYTES: Final = 32
_SKEW_SECONDS: Final = 60.0
"""How far the clocks of several machines may be apart."""

_TOUCHES: Final = 60
"""Use is noted at most this often within the idle time, because each note waits for the state."""

_SESSION: Final = "session:"
_TICKET: Final = "ticket:"


class _Record(BaseModel):
    """A record in the state. Other versions of the panel read it, so a new field needs a default."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    user: str
    fingerprint: str


Kind = TypeVar("Kind", bound=_Record)


class Session(_Record):
    """One sign-in. Times are seconds of the clock of `Sessions`."""

    started: float
    used: float


class _Ticket(_Record):
    expires: float


def _digest(secret: str) -> str:
    # Neither the timing of a lookup nor a copy of the state gives a secret away.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """The sign-ins, and the tickets that are not exchanged yet. Safe from any thread and any process.

    Every method but `expiry` raises `StateError` if the state cannot be used.

    Args:
        state: keeps them.
        clock: returns seconds since 1970.
        longest: after how many seconds a sign-in ends.
        idle: after how many seconds without use it ends.
    """

    def __init__(self, state: State, *, clock: Callable[[], float], longest: float, idle: float) -> None:
        self._state = state
        self._clock = clock
        self._longest = longest
        self._idle = idle

    def issue_ticket(self, user: str, fingerprint: str) -> str:
        """Return a secret that can be exchanged once, within 30 seconds, for a session."""
        ticket = secrets.token_urlsafe(_RANDOM_BYTES)
        record = _Ticket(user=user, fingerprint=fingerprint, expires=self._clock() + TICKET_SECONDS)
        self._state.put(_TICKET + _digest(ticket), record.model_dump_json(), TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return the id of a new session for a ticket, or None if the ticket is unknown, used or too old."""
        key = _TICKET + _digest(ticket)
        found = _parse(_Ticket, self._state.get(key))
        now = self._clock()
        if found is None or now >= found.expires:
            return None
        session_id = secrets.token_urlsafe(_RANDOM_BYTES)
        session = Session(user=found.user, fingerprint=found.fingerprint, started=now, used=now)
        # Store the session before deleting the ticket, so that a concurrent `end_all` (tickets first) always finds one
        # of them. Keep it a little longer than it is valid, so that the log can say why it ended.
        self._state.put(_SESSION + _digest(session_id), session.model_dump_json(), self._longest + self._idle)
        if self._state.take(key) is None:  # used meanwhile, or all were ended
            self.end(session_id)
            return None
        return session_id

    def find(self, session_id: str) -> Session | None:
        """Return the session of an id, expired or not."""
        return _parse(Session, self._state.get(_SESSION + _digest(session_id)))

    def expiry(self, session: Session) -> str | None:
        """Return why a session has expired, or None."""
        now = self._clock()
        if session.started > now + _SKEW_SECONDS:  # it would live longer than it may
            return "clock set back"
        if now - session.started >= self._longest:
            return "too old"
        return "unused for too long" if now - session.used >= self._idle else None

    def touch(self, session_id: str, session: Session) -> None:
        """Note that a person used the session, unless that was just noted; an ended session stays ended."""
        if 0 <= self._clock() - session.used < self._idle / _TOUCHES:
            return
        used = session.model_copy(update={"used": self._clock()})
        self._state.replace(_SESSION + _digest(session_id), used.model_dump_json())

    def end(self, session_id: str) -> Session | None:
        """Remove a session; return it to the first caller, and None to others."""
        return _parse(Session, self._state.take(_SESSION + _digest(session_id)))

    def all(self) -> list[Session]:
        """Return the valid sign-ins, the oldest first."""
        found = (_parse(Session, text) for text in self._state.items(_SESSION).values())
        return sorted(
            (one for one in found if one and not self.expiry(one)), key=lambda one: (one.started, one.user)
        )

    def end_all(self, user: str | None = None) -> Iterator[Session]:
        """Remove the sign-ins and tickets of a user, or of everybody; yield each sign-in once it is removed."""
        for prefix, kind in ((_TICKET, _Ticket), (_SESSION, Session)):
            for key, text in self._state.items(prefix).items():
                record = _parse(kind, text)
                if user is None or (record is not None and record.user == user):
                    ended = _parse(Session, self._state.take(key))
                    if ended is not None:
                        yield ended


def _parse(kind: type[Kind], text: str | None) -> Kind | None:
    with suppress(ValidationError):  # not ours
        return kind.model_validate_json(text) if text is not None else None
    return None
