"""The routes and headers that the page's server has beside Streamlit's own."""

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
    """Lead whoever typed `/integrations` to the page; relative, as a proxy may show the panel under a path."""
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
    """Answer at once, and meanwhile import what the first visitor would wait for."""
    _hand_over_streamlit_s_log()
    websocket_guard.raise_limit()
    if (limit := websocket_guard.max_websockets()) < _FEW_WEBSOCKETS:
        log.warning("No more than %d pages can be open at once: raise the hard limit of open files", limit)
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    yield {}


def _hand_over_streamlit_s_log() -> None:
    """Streamlit gives each of its loggers a handler of its own, the later ones, too; ours writes their records."""
    streamlit.logger.setup_formatter = log_output.hand_over
    streamlit.logger.update_formatter()


def _warm_up() -> None:
    """Load the page and the form, then spare all that is loaded from every later garbage collection.

    Python's own collector would else go through Streamlit's modules each time: 45 to 90 ms, without them about one.
    """
    import integrations.transport.client  # noqa: F401, PLC0415 - for the first reading
    from integrations.ui import page, sign_in  # noqa: F401, PLC0415

    sign_in.warm_up()
    auth()
    gc.collect()
    gc.freeze()
