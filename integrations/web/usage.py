"""`GET /integrations/usage`: the same readings as the page, as JSON for scripts and monitors."""

import asyncio
from http import HTTPStatus
from typing import Final

import anyio
from pydantic import BaseModel
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from integrations.access import INTEGRATION_READ, Denial, Principal
from integrations.quota.models import UsageReport
from integrations.readings import shared
from integrations.web.requester import authenticate, bearer

_NO_STORE: Final = {"Cache-Control": "no-store"}


class Problem(BaseModel):
    """An error's body (RFC 9457), without detail of the inside."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: HTTPStatus, detail: str, **headers: str) -> Response:
    """An error in the form of RFC 9457."""
    body = Problem(title=status.phrase, status=status, detail=detail).model_dump_json()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(body, status, {**_NO_STORE, **named}, media_type="application/problem+json")


def method_not_allowed(request: Request) -> Response:
    """405 for an endpoint that can only be read."""
    return problem(
        HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not possible here.", Allow="GET, HEAD"
    )


async def read_all() -> UsageReport | None:
    """Return every reading from the cache that the page reads; fetches only what is due, once for all callers.

    None if the panel stops before the providers have answered.
    """
    fetches = await anyio.to_thread.run_sync(shared.start_all)
    try:
        await asyncio.gather(*map(asyncio.wrap_future, fetches))
    except asyncio.CancelledError:  # by uvicorn when it stops; it would log a crash
        return None
    return shared.report()


def stopped() -> Response:
    """Why whoever waits for the readings gets none now."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "The panel is being stopped.", Retry_After="5")


class UsageEndpoint(HTTPEndpoint):
    """Reads what the page reads, from the same cache; it cannot force a call."""

    async def get(self, request: Request) -> Response:
        """200 with every reading, a failed provider's too; 401, 403, 429 or 503 without."""
        found = await anyio.to_thread.run_sync(_who, request)
        if isinstance(found, Denial):
            return refusal(found)
        if not found.may(INTEGRATION_READ):
            return problem(HTTPStatus.FORBIDDEN, "The permission integration:Read is needed.")
        usage = await read_all()
        if usage is None:
            return stopped()
        return Response(usage.model_dump_json(), headers=_NO_STORE, media_type="application/json")

    async def method_not_allowed(self, request: Request) -> Response:
        """405, in the form of every other error."""
        return method_not_allowed(request)


def _who(request: Request) -> Principal | Denial:
    """Who asks: a machine by its token, else a person by the session's cookie."""
    return bearer(request) or authenticate(request)


def refusal(denial: Denial) -> Response:
    """Why nobody in particular may read."""
    if denial is Denial.UNAVAILABLE:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Sign-in is unavailable.")
    if denial is Denial.THROTTLED:
        return problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts. Try again later.", Retry_After="900")
    return problem(HTTPStatus.UNAUTHORIZED, "Sign in, or send a token.", WWW_Authenticate="Bearer")
