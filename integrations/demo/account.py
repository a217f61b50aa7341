"""The simulator's account: its credits, its answer to a call, and the ways to make it fail."""

import hmac
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from threading import RLock
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

KEY: Final = "test-key-imai-simulator"
CREDITS: Final = Decimal(7500)
CHEAPEST_CALL: Final = Decimal("0.02")
"""The price in credits of IMAI's cheapest call."""
RATE_LIMIT: Final = 10
"""Requests a second that IMAI allows."""
FLAKY_EVERY: Final = 3


class Mode(StrEnum):
    """The answer to the account call. A line has the mode's name, the HTTP status and IMAI's `error_message`."""

    status: int
    message: str

    def __new__(cls, name: str, status: int = 200, message: str = "") -> Self:
        """Return a member that equals its name."""
        member = str.__new__(cls, name)
        member._value_, member.status, member.message = name, status, message
        return member

    OK = "ok"
    # IMAI's documented errors.
    BAD_REQUEST = "bad_request", 400, "The request is wrong."
    BAD_FILTER = "bad_filter", 400, "A filter of the request is wrong."
    ENTITY_NOT_FOUND = "entity_not_found", 400, "What the request names does not exist."
    RETRY_LATER = "retry_later", 400, "Updating: retry in 5 to 10 minutes."
    NO_TOKENS_REMAINING = "no_tokens_remaining", 400, "No tokens are left."
    NO_QUOTA_REMAINING = "no_quota_remaining", 400, "No quota is left."
    DAILY_TOKENS_LIMIT_EXCEEDED = "daily_tokens_limit_exceeded", 400, "The daily spending limit is reached."
    NOT_AUTHENTICATED = "not_authenticated", 401, "No API key was sent."
    INVALID_API_KEY = "invalid_api_key", 403, "The API key is wrong."
    TOKEN_IS_DISABLED = "token_is_disabled", 403, "The API key is disabled."
    TOKENS_EXPIRED = "tokens_expired", 403, "The tokens have expired."
    SUBSCRIPTION_EXPIRED = "subscription_expired", 403, "The subscription has expired."
    SUBSCRIPTION_REQUIRED = "subscription_required", 403, "There is no subscription."
    PERMISSION_DENIED = "permission_denied", 403, "The API key may not do this."
    NOT_FOUND = "not_found", 404, "There is no such URL."
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The method is wrong."
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded", 429, "Too many requests."  # Retry-After: retry_after, or 120
    INTERNAL_SERVER_ERROR = "internal_server_error", 500, "An internal error: retry later."
    # An HTML page, as a gateway in front of IMAI sends it.
    HTTP_500 = "http_500", 500
    HTTP_503 = "http_503", 503  # Retry-After: retry_after, or none
    # Time and chance.
    FLAKY = "flaky"  # every third call is an internal_server_error, the others get the balance
    SLOW = "slow"  # the balance after latency_seconds, or after two seconds when that is 0
    HANG = "hang"  # takes the request and never answers


Amount = Annotated[Decimal, Field(allow_inf_nan=False)]
"""A number of credits."""


class Controls(BaseModel):
    """The body of `PUT /control`. Absent fields change nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reset: StrictBool = False  # first go back to the state at the start
    mode: Mode = Mode.OK
    credits: Amount = CREDITS  # that remain
    spend: Amount = Decimal(0)  # to subtract, also below 0
    latency_seconds: float = Field(default=0, ge=0, le=3600)  # before every answer of the account call
    retry_after: int | None = Field(default=None, ge=0)  # seconds, for the header of that name
    rate_limit: int = Field(default=RATE_LIMIT, ge=0)  # requests a second


class Account:
    """One account. Safe from any thread.

    The attributes `mode`, `credits`, `latency_seconds`, `retry_after` and `rate_limit` may be set at any time and have
    the meaning of `Controls`. `calls` counts the GETs of the account call, also the refused ones.

    Args:
        key: the accepted API key.
        drain_seconds: how often 0.02 credits are spent, until 0 is reached; None: never.
        clock: returns seconds, as `time.monotonic` does.
    """

    def __init__(
        self,
        *,
        key: str = KEY,
        drain_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self._drain_seconds, self._clock = drain_seconds, clock
        self._lock = RLock()
        self.reset()

    def reset(self) -> None:
        """Go back to the state at the start."""
        with self._lock:
            self.mode: Mode | str = Mode.OK
            self.credits = CREDITS
            self.latency_seconds = 0.0
            self.retry_after: int | None = None
            self.rate_limit = RATE_LIMIT
            self.calls = 0
            self._admitted: deque[float] = deque()  # times of the last second's calls

    @property
    def credits(self) -> Decimal:
        """The credits that remain now."""
        with self._lock:
            if self._drain_seconds:
                steps = int((self._clock() - self._drained_at) / self._drain_seconds)
                self._drained_at += steps * self._drain_seconds
                self._credits -= min(CHEAPEST_CALL * steps, max(self._credits, Decimal(0)))
            return self._credits

    @credits.setter  # noqa: A003 - IMAI's word for it
    def credits(self, amount: Decimal | int | str) -> None:
        with self._lock:
            self._credits, self._drained_at = Decimal(amount), self._clock()

    def spend(self, amount: Decimal | int | str) -> None:
        """Subtract credits, also below 0."""
        with self._lock:
            self._credits = self.credits - Decimal(amount)

    def control(self, document: bytes) -> None:
        """Apply the body of a `PUT /control`.

        Raises:
            ValidationError: the body is wrong; nothing has changed.
        """
        changes = Controls.model_validate_json(document)
        with self._lock:
            if changes.reset:
                self.reset()
            for name in changes.model_fields_set - {"reset", "spend"}:
                setattr(self, name, getattr(changes, name))
            self.spend(changes.spend)

    def state(self) -> dict[str, object]:
        """Return the answer to `GET /control`."""
        with self._lock:
            names = ("mode", "latency_seconds", "retry_after", "rate_limit", "calls")
            return {name: getattr(self, name) for name in names} | {"credits": self.balance()}

    def balance(self) -> str:
        """Return the remaining credits as in JSON: 7499.98, and 7500 without a point."""
        return f"{self.credits.normalize():f}"

    def admit(self, key: str) -> tuple[Mode, int | None]:
        """Count an account call; return the mode of its answer and the Retry-After."""
        with self._lock:
            self.calls += 1
            if not key:
                return Mode.NOT_AUTHENTICATED, None
            if not hmac.compare_digest(key.encode("latin-1", "replace"), self.key.encode()):
                return Mode.INVALID_API_KEY, None
            if not self._has_room():
                return Mode.RATE_LIMIT_EXCEEDED, 1
            if self.mode == Mode.FLAKY:
                return Mode.OK if self.calls % FLAKY_EVERY else Mode.INTERNAL_SERVER_ERROR, None
            if self.mode == Mode.RATE_LIMIT_EXCEEDED and self.retry_after is None:
                return Mode.RATE_LIMIT_EXCEEDED, 120
            return Mode(self.mode), self.retry_after

    def _has_room(self) -> bool:
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - 1:
            self._admitted.popleft()
        room = len(self._admitted) < self.rate_limit
        if room:
            self._admitted.append(now)
        return room
