"""The routes and headers that the page's server has beside Streamlit's own."""

import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.middleware import Middleware
from starlette.routing import Route

from integrations.access import auth
from integrations.web.assets import Assets
from integrations.web.guard import RouteGuard
from integrations.web.headers import SecurityHeaders
from integrations.web.session import check_session, exchange_ticket
from integrations.web.usage import UsageEndpoint

ROUTES: Final = (
    Route("/integrations/usage", UsageEndpoint),
    Route("/integrations/session", exchange_ticket, methods=["POST"]),
    Route("/integrations/session", check_session, methods=["GET"]),
)

MIDDLEWARE: Final = (
    Middleware(SecurityHeaders),
    Middleware(RouteGuard, own=frozenset(route.path for route in ROUTES)),
    Middleware(Assets),
)


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """Answer at once, and meanwhile import what the first visitor would wait for."""
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    yield {}


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
