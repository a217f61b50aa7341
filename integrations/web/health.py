"""`/integrations/health/…` for load balancers and service managers: one word, no sign-in, no internals."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from integrations import checks
from integrations.access import auth
from integrations.checks import Finding, Severity
from integrations.web import assets

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 1.0
"""How long a result is reused, so that a flood of requests runs the checks once a second."""


def _sign_in() -> Iterator[Finding]:
    return checks.sign_in(auth().store.content)  # the cached content


def _page() -> Iterator[Finding]:
    if not (assets.directory() / "index.html").is_file():  # while the environment is being replaced
        yield Finding("page", "its files are missing", Severity.ERROR)


CHECKS: Final = (checks.loaded_settings, _sign_in, checks.state_access, _page)
"""The checks with results that change while the panel runs; each takes two seconds at most."""


@dataclass
class _Readiness:
    """Cached result; guarded by `_one_at_a_time`."""

    checked_at: float | None = None
    failed: str | None = None

    def check(self) -> bool:
        now = time.monotonic()
        if self.checked_at is None or now - self.checked_at >= KEPT_SECONDS:
            found = (finding for check in CHECKS for finding in check())
            failed = next((finding for finding in found if finding.severity >= Severity.ERROR), None)
            before, self.failed = self.failed, failed.about if failed else None
            self.checked_at = now
            if failed and failed.about != before:
                log.warning("Not ready: %s: %s", failed.about, failed.text)
            elif before and not failed:
                log.warning("Ready again")
        return self.failed is None


_readiness: Final = _Readiness()
_one_at_a_time: Final = anyio.CapacityLimiter(1)


async def live(_request: Request) -> Response:
    """`GET /integrations/health/live`: the process answers."""
    return _word("live", 200)


async def ready(_request: Request) -> Response:
    """`GET /integrations/health/ready`: people can sign in and see their figures; 503 if not."""
    is_ready = await anyio.to_thread.run_sync(_readiness.check, limiter=_one_at_a_time)
    return _word("ready", 200) if is_ready else _word("unavailable", 503)


def _word(word: str, status: int) -> Response:
    return Response(f"{word}\n", status, {"Cache-Control": "no-store"}, media_type="text/plain")
