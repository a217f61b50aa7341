"""`GET /integrations/usage`: the same readings as the page, as JSON for scripts and monitors."""

from http import HTTPStatus
from typing import Final

import anyio
from pydantic import BaseModel
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from integrations import cache
from integrations.access import INTEGRATION_READ, Denial, Principal, auth
from integrations.web.client import authenticate, client_of

_NO_STORE: Final = {"Cache-Control": "no-store"}
_MAX_WAITING: Final = 64
"""Threads that calls may take while a provider is asked; Streamlit's own stay free for the page."""


class Problem(BaseModel):
    """An error's body (RFC 9457), without detail of the inside."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def _problem(status: HTTPStatus, detail: str, **headers: str) -> Response:
    body = Problem(title=status.phrase, status=status, detail=detail).model_dump_json()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(body, status, {**_NO_STORE, **named}, media_type="application/problem+json")


class UsageEndpoint(HTTPEndpoint):
    """Reads what the page reads, from the same cache; it cannot force a call."""

    _limiter: anyio.CapacityLimiter | None = None

    async def get(self, request: Request) -> Response:
        """200 with every reading, a failed provider's too; 401, 403, 429 or 503 without."""
        found = await anyio.to_thread.run_sync(_who, request)
        if isinstance(found, Denial):
            return _refusal(found)
        if not found.may(INTEGRATION_READ):
            return _problem(HTTPStatus.FORBIDDEN, "The permission integration:Read is needed.")
        usage = await anyio.to_thread.run_sync(cache.current_of_all, limiter=self._own_limiter())
        return Response(usage.model_dump_json(), headers=_NO_STORE, media_type="application/json")

    async def method_not_allowed(self, request: Request) -> Response:
        """405, in the form of every other error."""
        return _problem(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not possible here.", Allow="GET, HEAD"
        )

    @classmethod
    def _own_limiter(cls) -> anyio.CapacityLimiter:
        if cls._limiter is None:
            cls._limiter = anyio.CapacityLimiter(_MAX_WAITING)
        return cls._limiter


def _who(request: Request) -> Principal | Denial:
    """Who asks: a machine by its token, else a person by the session's cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return auth().bearer(token.strip(), client=client_of(request))
    return authenticate(request)


def _refusal(denial: Denial) -> Response:
    if denial is Denial.UNAVAILABLE:
        return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "Sign-in is unavailable.")
    if denial is Denial.THROTTLED:
        return _problem(
            HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts. Try again later.", Retry_After="900"
        )
    return _problem(HTTPStatus.UNAUTHORIZED, "Sign in, or send a token.", WWW_Authenticate="Bearer")
