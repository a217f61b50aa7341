"""`/integrations/session`: exchanges the one-time sign-in ticket for the session cookie."""

from functools import partial
from typing import Final

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from integrations.access import Denial, Principal, auth
from integrations.settings import panel_settings
from integrations.state import StateError
from integrations.web.requester import authenticate, client_of, session_id_of
from integrations.web.route_guard import is_own_origin

_MAX_BODY_BYTES: Final = 1024
_BODY_SECONDS: Final = 3.0


class _Exchange(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    ticket: str


async def exchange_ticket(request: Request) -> Response:
    """`POST /integrations/session`: exchange a ticket for the session cookie; from our own page only."""
    if not _same_origin(request):
        return Response(status_code=403)
    try:
        with anyio.fail_after(_BODY_SECONDS):
            body = await _body(request)
        ticket = _Exchange.model_validate_json(body).ticket
    except TimeoutError:
        return Response(status_code=408, headers={"Connection": "close"})
    except _TooLargeError:
        return Response(status_code=413)
    except (ClientDisconnect, ValidationError):
        return Response(status_code=400)
    redeem = partial(auth().redeem, ticket, replaces=session_id_of(request), client=client_of(request))
    try:
        session_id = await anyio.to_thread.run_sync(redeem)
    except StateError:
        return Response(status_code=503)
    return _with_cookie(session_id) if session_id else Response(status_code=401)


def _with_cookie(session_id: str) -> Response:
    response = Response(status_code=204)
    response.set_cookie(
        auth().cookie_name,
        session_id,
        path="/",
        secure=panel_settings().cookie_secure,
        httponly=True,
        samesite="strict",
    )
    return response


class _TooLargeError(Exception):
    """The body is larger than any that our page sends."""


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise _TooLargeError
    return bytes(body)


async def check_session(request: Request) -> Response:
    """`GET /integrations/session`: 204 if the browser kept the cookie, 401 if not, 503 if sign-in is unavailable."""
    principal = await anyio.to_thread.run_sync(authenticate, request)
    if isinstance(principal, Principal):
        return Response(status_code=204)
    return Response(status_code=503 if principal is Denial.UNAVAILABLE else 401)


def _same_origin(request: Request) -> bool:
    """Whether the request comes from a page of this host, by headers that no script in a browser can set."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    json = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    return json and is_own_origin(request)
