"""Security headers on every response."""

import base64
import hashlib
import logging
import re
from functools import cache
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations.settings import panel_settings
from integrations.web import assets

log = logging.getLogger(__name__)

_SECONDS_OF_A_YEAR: Final = 31_536_000


@cache
def _content_security_policy() -> str:
    """Return the strictest policy that Streamlit works with: inline styles, and inline scripts named by hash."""
    scripts = re.findall(r"<script>(.*?)</script>", assets.index(), re.DOTALL)
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


class SecurityHeadersMiddleware:
    """Sets the security headers on every response, and answers 500 without detail if the app fails."""

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
        """Pass the request on and add the headers to its response."""
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "websocket.close" and not begun and _can_refuse(scope):
                await Response(status_code=403)(scope, receive, send_with_headers)
                return
            if message["type"] in _START_MESSAGES:
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


_START_MESSAGES: Final = frozenset(
    {"http.response.start", "websocket.http.response.start", "websocket.accept"}
)


def _can_refuse(scope: Scope) -> bool:
    """Whether the server supports an HTTP response to a websocket handshake."""
    return "websocket.http.response" in scope.get("extensions", {})
