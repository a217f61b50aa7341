"""`GET /integrations/usage`: the same readings as the page, as JSON for scripts and monitors."""

import asyncio

import anyio
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from integrations.access import INTEGRATION_READ, Denial, Principal
from integrations.quota.models import UsageReport
from integrations.readings import shared
from integrations.web import problems
from integrations.web.requester import authenticate, authenticate_token


async def read_all() -> UsageReport | None:
    """Return fresh readings, shared with the page and with all other requests that wait for them.

    None if the panel stops before the providers have answered.
    """
    try:
        fetches = await anyio.to_thread.run_sync(shared.start_all)
        await asyncio.gather(*map(asyncio.wrap_future, fetches))
    except asyncio.CancelledError:  # by uvicorn when it stops; it would log a crash
        return None
    return shared.report()


class UsageEndpoint(HTTPEndpoint):
    """Serves the readings of the page; it cannot force a call to a provider."""

    async def get(self, request: Request) -> Response:
        """Return 200 with every reading, also of failed providers; 401, 403, 429 or 503 without."""
        found = await anyio.to_thread.run_sync(_authenticate, request)
        if isinstance(found, Denial):
            return problems.denied(found)
        if not found.may(INTEGRATION_READ):
            return problems.forbidden()
        usage = await read_all()
        if usage is None:
            return problems.stopping()
        return Response(usage.model_dump_json(), headers=problems.NO_STORE, media_type="application/json")

    @override
    async def method_not_allowed(self, request: Request) -> Response:
        return problems.method_not_allowed(request)


def _authenticate(request: Request) -> Principal | Denial:
    """Return the person of the session cookie, or else the machine of the token.

    The session comes first: a proxy for single sign-on may add an Authorization header of its own.
    """
    person = authenticate(request)
    return person if isinstance(person, Principal) else authenticate_token(request) or person
