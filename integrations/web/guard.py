"""Which requests reach Streamlit and our own routes; everything else is refused here.

Streamlit serves more than the panel uses (uploads that take 200 MB into memory, metrics, media files, its own sign-in),
and a later release may add to it. So the list below says what is open; whatever is not in it answers 404.
"""

from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS: Final = frozenset(
    {
        "/",
        "/favicon.png",
        "/_stcore/stream",
        "/_stcore/health",
        "/_stcore/host-config",
    }
)
"""Streamlit's own addresses that the page needs."""

OPEN_FOLDERS: Final = (
    "/static/",
    "/_stcore/bidi-components/integrations.browser/",  # the script that exchanges the sign-in ticket
)
"""Streamlit's own folders that the page needs files of."""


class RouteGuard:
    """404 for what is not open; 403 for websockets that a page of another origin opens.

    Streamlit itself lets every page of localhost connect, whatever its port, where the browser sends our cookie; and
    for any other origin it asks a host on the internet for the server's own address.

    Args:
        app: what comes behind.
        own: the paths of our own routes.
    """

    def __init__(self, app: ASGIApp, own: Iterable[str]) -> None:
        self._app = app
        self._open = OPEN_PATHS.union(own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is open."""
        if scope["type"] not in {"http", "websocket"} or self._is_open(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await Response(status_code=404)(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if path not in self._open and not path.startswith(OPEN_FOLDERS):
            return False
        return scope["type"] == "http" or _may_connect(Headers(scope=scope))


def _may_connect(headers: Headers) -> bool:
    # A browser sends Origin with every websocket. Who sends none is a script, and has no cookie of a person's browser.
    return "origin" not in headers or is_own_origin(headers)


def is_own_origin(headers: Headers) -> bool:
    """Whether the Origin header names the host that was asked."""
    return headers.get("origin", "").partition("://")[2] == headers.get("host", "")
