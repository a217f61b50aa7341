"""Decides which requests reach Streamlit and our own routes.

Streamlit serves more than the panel uses (uploads of 200 MB into memory, metrics, media files, its own sign-in), and a
later release may add to it. So the list below names what is open; everything else is 404.
"""

import logging
from collections.abc import Iterable
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

STREAM: Final = "/_stcore/stream"
"""The path of the page's websocket."""

OPEN_PATHS: Final = frozenset(
    {
        "/",
        "/favicon.png",
        STREAM,
        "/_stcore/health",
        "/_stcore/host-config",
    }
)
"""Streamlit's own paths that the page needs."""

OPEN_FOLDERS: Final = (
    "/static/",
    "/_stcore/bidi-components/integrations.browser/",  # the script that exchanges the sign-in ticket
)
"""Streamlit's own folders with files that the page needs."""


class RouteGuardMiddleware:
    """Answers 404 if a path is not open, and 403 to websockets of pages of another origin.

    Streamlit itself accepts every page of localhost, whatever its port, although the browser sends our cookie with it;
    for other origins it asks a host on the internet for the server's own address.

    Args:
        app: the next app.
        own: the paths of our own routes.
    """

    def __init__(self, app: ASGIApp, own: Iterable[str]) -> None:
        self._app = app
        self._open = OPEN_PATHS.union(own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is open."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        is_open = path in self._open or path.startswith(OPEN_FOLDERS)
        if scope["type"] == "websocket":
            if is_open and _may_connect(HTTPConnection(scope)):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
        elif not is_open:
            text = f"There is no such page. The panel's only page is {scope.get('root_path', '')}/\n"
            await PlainTextResponse(text, status_code=404)(scope, receive, send)
        elif path == STREAM:
            log.warning("A plain request for %s came: the proxy must pass Upgrade and Connection on", STREAM)
            await Response(status_code=426, headers={"Upgrade": "websocket"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _may_connect(request: HTTPConnection) -> bool:
    # A browser sends Origin with every websocket; a script without it has no cookie of a person's browser.
    if "origin" not in request.headers or is_own_origin(request):
        return True
    log.warning(
        "Websocket refused: its Origin is %a, and the request came for %s://%a. The proxy must pass on Host as the "
        "browser sent it, port included, and X-Forwarded-Proto",
        request.headers["origin"][:_MAX_LOGGED],
        _scheme(request),
        request.headers.get("host", "")[:_MAX_LOGGED],
    )
    return False


_MAX_LOGGED: Final = 100


def is_own_origin(request: HTTPConnection) -> bool:
    """Whether the Origin header names the requested host, and no weaker scheme.

    A request over plain HTTP may have been HTTPS up to a proxy that does not say so.
    """
    scheme, _, host = request.headers.get("origin", "").partition("://")
    return host == request.headers.get("host", "") and scheme in {"https", _scheme(request)}


def _scheme(request: HTTPConnection) -> str:
    return "https" if request.scope["scheme"] in {"https", "wss"} else "http"
