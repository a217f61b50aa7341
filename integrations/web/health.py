"""`/integrations/health/…`: for balancers and service managers. One word, no sign-in, nothing of the inside."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from integrations import accounts
from integrations.access import auth
from integrations.access.store import StoreError
from integrations.quota.errors import SettingsError
from integrations.settings import panel_settings
from integrations.state import StateError, state
from integrations.web import assets

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 1.0
"""So long an answer serves everybody: whoever asks a thousand times causes one check."""


def _settings_are_right() -> bool:
    try:
        panel_settings()
        for provider in accounts.current():
            _ = provider.settings
    except SettingsError:
        return False
    return True


def _store_has_a_user() -> bool:
    try:
        return bool(auth().store.content().users)
    except StoreError:
        return False


def _state_is_reachable() -> bool:
    try:
        state().check()
    except StateError:
        return False
    return True


def _page_is_there() -> bool:
    return (assets.directory() / "index.html").is_file()  # not while its environment is being replaced


CHECKS: Final[tuple[tuple[str, Callable[[], bool]], ...]] = (
    ("settings", _settings_are_right),
    ("sign-in store", _store_has_a_user),
    ("state", _state_is_reachable),
    ("the page's files", _page_is_there),
)
"""What must hold for the panel to be of use: a name for the log, and a check that takes two seconds at the most."""


@dataclass
class _Readiness:
    """The last answer. Only one thread at a time gets here."""

    checked_at: float | None = None
    failed: str | None = None

    def check(self) -> bool:
        now = time.monotonic()
        if self.checked_at is None or now - self.checked_at >= KEPT_SECONDS:
            before = self.failed
            self.failed = next((name for name, holds in CHECKS if not holds()), None)
            self.checked_at = now
            if self.failed != before:
                self._log()
        return self.failed is None

    def _log(self) -> None:
        if self.failed is None:
            log.warning("Ready again")
        else:
            log.warning("Not ready: %s", self.failed)


_readiness: Final = _Readiness()
_one_at_a_time: Final = anyio.CapacityLimiter(1)


async def live(_request: Request) -> Response:
    """`GET /integrations/health/live`: the process answers."""
    return _word("live", 200)


async def ready(_request: Request) -> Response:
    """`GET /integrations/health/ready`: people can sign in and see their figures; 503 if not."""
    holds = await anyio.to_thread.run_sync(_readiness.check, limiter=_one_at_a_time)
    return _word("ready", 200) if holds else _word("unavailable", 503)


def _word(word: str, status: int) -> Response:
    return Response(f"{word}\n", status, {"Cache-Control": "no-store"}, media_type="text/plain")
