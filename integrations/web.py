"""The routes and headers that the page's server has beside Streamlit's own."""

import base64
import gc
import hashlib
import logging
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations import assets
from integrations.access import Viewer, access
from integrations.api import UsageEndpoint
from integrations.settings import panel_settings

log = logging.getLogger(__name__)

_MAX_BODY_BYTES: Final = 1024
_SECONDS_OF_A_YEAR: Final = 31_536_000
_UNUSED: Final = (
    "/_stcore/upload_file",  # takes 200 MB into memory from anybody who has the sign-in form open
    "/_stcore/metrics",  # tells anybody how many are connected and what is cached
    "/_stcore/script-health-check",
    "/_stcore/agent",
    "/auth",
    "/oauth2callback",
)


class _Exchange(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    ticket: str


async def exchange_ticket(request: Request) -> Response:
    """`POST /integrations/session`: a one-time ticket for the session's cookie. From our own page only."""
    if not _same_origin(request):
        return Response(status_code=403)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                return Response(status_code=413)
        ticket = _Exchange.model_validate_json(bytes(body)).ticket
    except (ClientDisconnect, ValidationError):
        return Response(status_code=400)
    session_id = access().redeem(ticket, replaces=request.cookies.get(access().cookie_name))
    if session_id is None:
        return Response(status_code=401)
    response = Response(status_code=204)
    response.set_cookie(
        access().cookie_name,
        session_id,
        path="/",
        secure=panel_settings().cookie_secure,
        httponly=True,
        samesite="strict",
    )
    return response


async def check_session(request: Request) -> Response:
    """`GET /integrations/session`: whether the browser kept the cookie. 204 if it did, 401 if not."""
    session_id = request.cookies.get(access().cookie_name)
    viewer = await anyio.to_thread.run_sync(access().look, session_id)
    return Response(status_code=204 if isinstance(viewer, Viewer) else 401)


def _same_origin(request: Request) -> bool:
    """Whether the request comes from a page of this very host; a browser cannot be made to say so falsely."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    json = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    return json and _is_own_origin(request.headers)


def _is_own_origin(headers: Headers) -> bool:
    return headers.get("origin", "").partition("://")[2] == headers.get("host", "")


ROUTES: Final = (
    Route("/integrations/usage", UsageEndpoint),
    Route("/integrations/session", exchange_ticket, methods=["POST"]),
    Route("/integrations/session", check_session, methods=["GET"]),
)


@cache
def _content_security_policy() -> str:
    """As strict as Streamlit works with: its styles are inline, its one inline script is named by hash."""
    index = assets.directory() / "index.html"
    scripts = re.findall(r"<script>(.*?)</script>", index.read_text(encoding="utf-8"), re.DOTALL)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {hashes}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
        )
    )


class SecurityHeaders:
    """Sets the headers that tell browsers what the page may do, on every answer, a failure's too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": _content_security_policy(),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        if panel_settings().cookie_secure:
            self._headers["Strict-Transport-Security"] = f"max-age={_SECONDS_OF_A_YEAR}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to the beginning of its answer."""
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "websocket.close" and not begun and _can_refuse(scope):
                await Response(status_code=403)(scope, receive, send_with_headers)
                return
            if message["type"] in _BEGINNINGS:
                begun = True
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("A request failed: %s %a", scope["method"], scope["path"])
            await Response(status_code=500)(scope, receive, send_with_headers)


_BEGINNINGS: Final = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


def _can_refuse(scope: Scope) -> bool:
    """Whether the server lets a websocket's handshake be answered with a response of ours."""
    return "websocket.http.response" in scope.get("extensions", {})


class Closed:
    """404 for what Streamlit serves to anybody and the panel does not use; 403 for other origins' websockets.

    Streamlit itself lets every page of localhost connect, whatever its port, where the browser sends our cookie; and
    for any other origin it asks a host on the internet for the server's own address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is not closed."""
        if scope["type"] == "websocket" and not _may_connect(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and _is_unused(scope["path"].removeprefix(scope.get("root_path", ""))):
            await Response(status_code=404)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _may_connect(headers: Headers) -> bool:
    return "origin" not in headers or _is_own_origin(
        headers
    )  # without: no browser, and no cookie but its own


def _is_unused(path: str) -> bool:
    return any(path == known or path.startswith(f"{known}/") for known in _UNUSED)


MIDDLEWARE: Final = (Middleware(SecurityHeaders), Middleware(Closed), Middleware(assets.Assets))


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """Answer at once, and meanwhile import what the first visitor would wait for."""
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    yield {}


def _warm_up() -> None:
    """Load the page and the form, then spare all that is loaded from every later garbage collection.

    Streamlit collects after each run of the page; with its modules counted that takes 45 to 90 ms, without about one.
    """
    from integrations import transport  # noqa: F401, PLC0415 - for the first reading
    from integrations.ui import page, sign_in  # noqa: F401, PLC0415

    sign_in.warm_up()
    access()
    gc.collect()
    gc.freeze()
