"""Sign-in, the check of every run, sign-out; and a line in the audit log for each."""

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
"""Longer than any session id, ticket or token of ours; what is longer is not looked at."""


class Denial(StrEnum):
    """Why somebody has no access now."""

    SIGNED_OUT = "signed out"
    UNAVAILABLE = "store or state unavailable"
    THROTTLED = "too many wrong tokens"


class SignInRefused(StrEnum):
    """Why a sign-in failed, as the person is told."""

    WRONG = "Username or password is incorrect."
    THROTTLED = "Too many attempts. Try again later."
    UNAVAILABLE = "Sign-in is unavailable."
    NO_USERS = "No user exists yet. The panel's log names the command that adds the first."


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a machine whose access was just checked; good for this moment and no longer."""

    name: str
    display_name: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """Whether a permission is granted."""
        return is_allowed(permission, self.permissions)


def token_digest(token: str) -> str:
    """What the store keeps of a machine's token. A fast hash is enough: the token is 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _fingerprint(user: User) -> str:
    """Changes with the password and the roles, so that a sign-in does not outlive them."""
    parts = "\n".join([user.password, *sorted(user.roles)])
    return hashlib.sha256(parts.encode()).hexdigest()


def _display_name(name: str, user: User) -> str:
    return f"{user.first_name} {user.last_name}".strip() or name


class Authenticator:
    """Sign-in and sessions over one store and the state. Where one of them cannot be used, nobody gets in."""

    def __init__(self, settings: PanelSettings) -> None:
        self.store = CredentialStore(settings.auth_file)
        # The prefix makes browsers hold the cookie to this host and to HTTPS (RFC 6265bis, 4.1.3.2).
        self.cookie_name = "__Host-integrations-session" if settings.cookie_secure else "integrations-session"
        self._state = state()
        self.sessions = Sessions(
            self._state,
            clock=time.time,
            longest=settings.session_hours * 3600,
            idle=settings.session_idle_minutes * 60,
        )
        self._throttle = Throttle(self._state, "sign-in")
        # Its own: wrong tokens must not keep people from signing in.
        self._token_throttle = Throttle(self._state, "token")

    def session_id_in(self, cookie_headers: Iterable[str]) -> str | None:
        """The session id that a browser sent, from the values of all its `Cookie` headers; None without exactly one."""
        return cookie_in(cookie_headers, self.cookie_name)

    def sign_in(self, name: str, password: str, *, client: str = UNKNOWN_CLIENT) -> str | SignInRefused:
        """A ticket for the right password, or why not. Takes one bcrypt, whoever asks, until the limit is reached.

        Args:
            name: as it was typed.
            password: likewise.
            client: the address that it came from, for the log; so wherever it stands below.
        """
        name = normal_name(name)[: MAX_NAME + 1]  # one character too many stays unknown
        try:
            return self._sign_in(name, password, client, self.store.content())
        except (StoreError, StateError):
            return SignInRefused.UNAVAILABLE

    def _sign_in(self, name: str, password: str, client: str, content: StoreContent) -> str | SignInRefused:
        if not self._throttle.reserve(name):
            if self._throttle.is_new_lock(name):
                audit.warning("sign-in locked: user=%a too many attempts client=%s", name, client)
            return SignInRefused.THROTTLED
        user = content.users.get(name)
        matches = check_password(password, user.password if user else None, highest_cost=content.highest_cost)
        if user is None or not matches:
            audit.warning("sign-in failed: user=%a client=%s", name, client)
            return SignInRefused.WRONG
        self._throttle.clear(name)
        audit.info("sign-in: user=%a client=%s", name, client)
        return self.sessions.issue_ticket(name, _fingerprint(user))

    def unlock(self, name: str) -> None:
        """Let somebody try again who is locked after too many attempts; a lock of everybody stays.

        Raises:
            StateError: it could not be done.
        """
        self._throttle.clear(name)
        audit.info("sign-in unlocked: user=%a by the command", name)

    def redeem(self, ticket: str, *, replaces: str | None = None, client: str = UNKNOWN_CLIENT) -> str | None:
        """The session id for a ticket, once and within 30 seconds; None otherwise.

        Args:
            ticket: as `sign_in` gave it.
            replaces: the session id whose place the new one takes in the browser; nobody could end it there later.
            client: the address that it came from.

        Raises:
            StateError: there is no telling; the ticket may be used up.
        """
        session_id = self.sessions.redeem(ticket) if len(ticket) <= MAX_SECRET_CHARACTERS else None
        if session_id is not None:
            self._end(replaces, "replaced by a new sign-in", client)
        elif self._token_throttle.reserve_for_all():  # like wrong tokens, they cannot flood the log
            audit.warning("ticket refused: unknown, used or too old client=%s", client)
        return session_id

    def authenticate(
        self, session_id: str | None, *, touch: bool = False, client: str = UNKNOWN_CLIENT
    ) -> Principal | Denial:
        """Who is behind a session id.

        Args:
            session_id: as the browser sent it, or None.
            touch: True for what a person did, which counts as use of the session; False for what a page does by
                itself.
            client: the address that it came from.
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
        over = self.sessions.expiry(session) or _revoked(session, user)
        if user is None or over is not None:
            self._end(session_id, over or "revoked", client)
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
        """End the sessions of a user, or of everybody for None; gives how many there were.

        Raises:
            StateError: not all could be ended.
        """
        ended = 0
        for session in self.sessions.end_all(user):
            # With the time, as the log counts what is the same instead of repeating it.
            began = datetime.fromtimestamp(session.started, UTC).isoformat(timespec="milliseconds")
            audit.info("session ended: user=%a by the command, signed in at %s", session.user, began)
            ended += 1
        return ended

    def bearer(self, token: str, *, client: str = UNKNOWN_CLIENT) -> Principal | Denial:
        """The machine behind a token, with the permissions of the token's roles; for the endpoint alone.

        The right token is never locked out; wrong ones are, all together, so that they cannot flood the log.
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
            if not self._token_throttle.reserve_for_all():
                return Denial.THROTTLED
        except StateError:
            return Denial.UNAVAILABLE
        audit.warning("token refused client=%s", client)
        return Denial.SIGNED_OUT

    def available(self) -> bool:
        """Whether store and state can be used."""
        try:
            self.store.content()
            self._state.get("available")  # there is no such text; only whether it can be asked matters
        except (StoreError, StateError):
            return False
        return True

    def obstacle(self) -> SignInRefused | None:
        """Why nobody can sign in; None where somebody can."""
        try:
            content = self.store.content()
        except StoreMissingError:
            return SignInRefused.NO_USERS
        except StoreError:
            return SignInRefused.UNAVAILABLE
        if not content.users:
            return SignInRefused.NO_USERS
        return None if self.available() else SignInRefused.UNAVAILABLE

    def _end(self, session_id: str | None, reason: str, client: str) -> None:
        with suppress(StateError):  # over by its own times or by the store, whether or not its record goes
            if session_id and (session := self.sessions.end(session_id)):
                audit.info("session ended: user=%a %s client=%s", session.user, reason, client)


def _revoked(session: Session, user: User | None) -> str | None:
    if user is None:
        return "user removed"
    same = hmac.compare_digest(session.fingerprint, _fingerprint(user))
    return None if same else "password or roles changed"


@cache
def auth() -> Authenticator:
    """The process's one authenticator."""
    return Authenticator(panel_settings())
