"""Sign-in, the check of every run, sign-out, and a line in the audit log for each."""

import hashlib
import hmac
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache

from integrations.access.credentials import (
    MAX_NAME,
    CredentialStore,
    StoreContent,
    StoreError,
    StoreMissingError,
    User,
    normal_name,
)
from integrations.access.passwords import check_password
from integrations.access.permissions import is_allowed, permissions_of
from integrations.access.requester import UNKNOWN_CLIENT, cookie_in
from integrations.access.sessions import Session, Sessions
from integrations.access.throttle import Throttle
from integrations.settings import PanelSettings, panel_settings
from integrations.state import StateError, state

audit = logging.getLogger("integrations.audit")

MAX_SECRET_CHARACTERS = 128
"""Longer than any session id, ticket or token of ours; a longer one is refused unread."""


class Denial(StrEnum):
    """Why a request has no access now."""

    SIGNED_OUT = "signed out"
    UNAVAILABLE = "store or state unavailable"
    THROTTLED = "too many wrong tokens"


class SignInRefused(StrEnum):
    """Why a sign-in failed, as the form shows it."""

    WRONG = "Username or password is incorrect."
    THROTTLED = "Too many attempts. Try again later."
    UNAVAILABLE = "Sign-in is unavailable."
    NO_USERS = "No user exists yet. The panel's log names the command that adds the first."


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a machine after a check of its access; valid for this moment only."""

    name: str
    display_name: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """Return whether a permission is granted."""
        return is_allowed(permission, self.permissions)


def token_digest(token: str) -> str:
    """Return what the store keeps of a machine's token. A fast hash is enough: the token is 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _fingerprint(user: User) -> str:
    """Return a digest of the password and the roles: a sign-in ends when they change."""
    parts = "\n".join([user.password, *sorted(user.roles)])
    return hashlib.sha256(parts.encode()).hexdigest()


def _display_name(name: str, user: User) -> str:
    return f"{user.first_name} {user.last_name}".strip() or name


class Authenticator:
    """Sign-in and sessions over one store and the state. If one of them cannot be used, no sign-in succeeds."""

    def __init__(self, settings: PanelSettings) -> None:
        self.store = CredentialStore(settings.auth_file)
        # Browsers bind a cookie with this prefix to this host and to HTTPS (RFC 6265bis, 4.1.3.2).
        self.cookie_name = "__Host-integrations-session" if settings.cookie_secure else "integrations-session"
        self._state = state()
        self.sessions = Sessions(
            self._state,
            clock=time.time,
            longest=settings.session_hours * 3600,
            idle=settings.session_idle_minutes * 60,
        )
        self._throttle = Throttle(self._state, "sign-in")
        # A count of its own: wrong tokens must not keep people from signing in.
        self._token_throttle = Throttle(self._state, "token")

    def session_id_in(self, cookie_headers: Iterable[str]) -> str | None:
        """Return the session id from the values of all `Cookie` headers; None unless there is exactly one."""
        return cookie_in(cookie_headers, self.cookie_name)

    def sign_in(self, name: str, password: str, *, client: str = UNKNOWN_CLIENT) -> str | SignInRefused:
        """Return a ticket for the right password, or the refusal.

        Costs one bcrypt for known and unknown names alike, until the limit is reached.

        Args:
            name: as typed.
            password: as typed.
            client: the address for the log, as in the other methods.
        """
        name = normal_name(name)[: MAX_NAME + 1]  # one character too many keeps it unknown
        try:
            return self._sign_in(name, password, client, self.store.content())
        except (StoreError, StateError):
            return SignInRefused.UNAVAILABLE

    def _sign_in(self, name: str, password: str, client: str, content: StoreContent) -> str | SignInRefused:
        user = content.users.get(name)
        logged = ascii(name) if user else "unknown"  # people type passwords in the name's place
        if not self._throttle.reserve(name):
            if self._throttle.is_new_lock(name):
                audit.warning("sign-in locked: user=%s too many attempts client=%s", logged, client)
            return SignInRefused.THROTTLED
        matches = check_password(password, user.password if user else None, highest_cost=content.highest_cost)
        if user is None or not matches:
            audit.warning("sign-in failed: user=%s client=%s", logged, client)
            return SignInRefused.WRONG
        self._throttle.clear(name)
        audit.info("sign-in: user=%s client=%s", logged, client)
        return self.sessions.issue_ticket(name, _fingerprint(user))

    def unlock(self, name: str) -> None:
        """Give a name its attempts back after too many; a lock of everybody stays.

        Raises:
            StateError: it could not be done.
        """
        self._throttle.clear(name)
        audit.info("sign-in unlocked: user=%a by the command", name)

    def redeem(self, ticket: str, *, replaces: str | None = None, client: str = UNKNOWN_CLIENT) -> str | None:
        """Return the session id for a ticket, once and within 30 seconds; otherwise None.

        Args:
            ticket: as `sign_in` returned it.
            replaces: the browser's previous session id. That session ends, because the browser forgets its id.
            client: the address for the log.

        Raises:
            StateError: the state failed; the ticket may be used up.
        """
        session_id = self.sessions.redeem(ticket) if len(ticket) <= MAX_SECRET_CHARACTERS else None
        if session_id is not None:
            self._end(replaces, "replaced by a new sign-in", client)
        elif self._token_throttle.reserve_unnamed():  # limits the log, as for wrong tokens
            audit.warning("ticket refused: unknown, used or too old client=%s", client)
        return session_id

    def authenticate(
        self, session_id: str | None, *, touch: bool = False, client: str = UNKNOWN_CLIENT
    ) -> Principal | Denial:
        """Return the user of a session.

        Args:
            session_id: as the browser sent it, or None.
            touch: True if a person acted, which counts as use of the session; False for automatic requests.
            client: the address for the log.
        """
        if not session_id or len(session_id) > MAX_SECRET_CHARACTERS:
            return Denial.SIGNED_OUT
        try:
            session = self.sessions.find(session_id)
            if session is None:
                return Denial.SIGNED_OUT
            content = self.store.content()
        except (StoreError, StateError):
            return Denial.UNAVAILABLE
        user = content.users.get(session.user)
        ended = self.sessions.expiry(session) or _revoked(session, user)
        if user is None or ended is not None:
            self._end(session_id, ended or "revoked", client)
            return Denial.SIGNED_OUT
        if touch:
            with suppress(StateError):  # the session then ends earlier, never later
                self.sessions.touch(session_id, session)
        return Principal(
            session.user, _display_name(session.user, user), permissions_of(user.roles, content.roles)
        )

    def sign_out(self, session_id: str | None, *, client: str = UNKNOWN_CLIENT) -> None:
        """End a session, in every tab.

        Raises:
            StateError: it could not be ended.
        """
        if session_id and (session := self.sessions.end(session_id)):
            audit.info("sign-out: user=%a client=%s", session.user, client)

    def end_sessions(self, user: str | None) -> int:
        """End the sessions of a user, or of everybody for None; return their number.

        Raises:
            StateError: not all could be ended.
        """
        ended = 0
        for session in self.sessions.end_all(user):
            # The time makes each line differ: the log counts equal lines instead of repeating them.
            began = datetime.fromtimestamp(session.started, UTC).isoformat(timespec="milliseconds")
            audit.info("session ended: user=%a by the command, signed in at %s", session.user, began)
            ended += 1
        return ended

    def authenticate_token(self, token: str, *, client: str = UNKNOWN_CLIENT) -> Principal | Denial:
        """Return the machine of a token, with the permissions of the token's roles; for the endpoints only.

        The right token is never locked out. Wrong ones share one limit, so that they cannot flood the log.
        """
        try:
            content = self.store.content()
        except StoreError:
            return Denial.UNAVAILABLE
        digest = token_digest(token[: MAX_SECRET_CHARACTERS + 1])
        for name, kept in content.tokens.items():
            if hmac.compare_digest(kept.sha256, digest):
                return Principal(name, name, permissions_of(kept.roles, content.roles))
        try:
            if not self._token_throttle.reserve_unnamed():
                return Denial.THROTTLED
        except StateError:
            return Denial.UNAVAILABLE
        audit.warning("token refused client=%s", client)
        return Denial.SIGNED_OUT

    def sign_in_blocker(self) -> SignInRefused | None:
        """Return why no sign-in is possible, or None."""
        try:
            users = self.store.content().users
            self._state.get("available")  # no such key; only whether the state answers matters
        except StoreMissingError:
            return SignInRefused.NO_USERS
        except (StoreError, StateError):
            return SignInRefused.UNAVAILABLE
        return None if users else SignInRefused.NO_USERS

    def _end(self, session_id: str | None, reason: str, client: str) -> None:
        with suppress(StateError):  # it is over in any case, even if its record stays
            if session_id and (session := self.sessions.end(session_id)):
                audit.info("session ended: user=%a %s client=%s", session.user, reason, client)


def _revoked(session: Session, user: User | None) -> str | None:
    if user is None:
        return "user removed"
    same = hmac.compare_digest(session.fingerprint, _fingerprint(user))
    return None if same else "password or roles changed"


@cache
def auth() -> Authenticator:
    """Return the process's one authenticator."""
    return Authenticator(panel_settings())
