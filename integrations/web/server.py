"""The routes, the middleware and the start of the server."""

import gc
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import streamlit.logger
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from integrations import log as log_output
from integrations.access import auth
from integrations.web import websocket_guard
from integrations.web.assets import AssetsMiddleware
from integrations.web.headers import SecurityHeadersMiddleware
from integrations.web.health import live, ready
from integrations.web.metrics import MetricsEndpoint
from integrations.web.requester import AllowedHostsMiddleware, TrustedProxiesMiddleware
from integrations.web.route_guard import RouteGuardMiddleware
from integrations.web.ticket import check_session, exchange_ticket
from integrations.web.usage import UsageEndpoint
from integrations.web.websocket_guard import WebsocketGuardMiddleware

log = logging.getLogger(__name__)


async def to_page(request: Request) -> Response:
    """Redirect `/integrations` to the page; relative, as a proxy may serve the panel under a path."""
    return RedirectResponse("../" if request.url.path.endswith("/") else "./")


ROUTES: Final = (
    Route("/integrations", to_page, methods=["GET"]),
    Route("/integrations/", to_page, methods=["GET"]),
    Route("/integrations/usage", UsageEndpoint),
    Route("/integrations/health/live", live, methods=["GET"]),
    Route("/integrations/health/ready", ready, methods=["GET"]),
    Route("/metrics", MetricsEndpoint),
    Route("/integrations/session", exchange_ticket, methods=["POST"]),
    Route("/integrations/session", check_session, methods=["GET"]),
)

MIDDLEWARE: Final = (
    Middleware(SecurityHeadersMiddleware),
    Middleware(TrustedProxiesMiddleware),
    Middleware(AllowedHostsMiddleware),
    Middleware(RouteGuardMiddleware, own=frozenset(route.path for route in ROUTES)),
    Middleware(WebsocketGuardMiddleware),
    Middleware(AssetsMiddleware),
)

_FEW_WEBSOCKETS: Final = 200


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """Serve at once, and import in the background what the first visitor would wait for."""
    _take_over_streamlit_log()
    websocket_guard.raise_limit()
    if (limit := websocket_guard.max_websockets()) < _FEW_WEBSOCKETS:
        log.warning("No more than %d pages can be open at once: raise the hard limit of open files", limit)
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    yield {}


def _take_over_streamlit_log() -> None:
    """Let our log write the records of Streamlit's loggers, which each get a handler of their own, also later ones."""
    streamlit.logger.setup_formatter = log_output.hand_over
    streamlit.logger.update_formatter()


def _warm_up() -> None:
    """Load the page and the form, then exempt all that is loaded from garbage collection.

    Otherwise each full collection goes through Streamlit's modules: 45 to 90 ms instead of about one.
    """
    import integrations.transport.client  # noqa: F401 - for the first reading
    from integrations.ui import page, sign_in  # noqa: F401

    sign_in.warm_up()
    auth()
    gc.collect()
    gc.freeze()
