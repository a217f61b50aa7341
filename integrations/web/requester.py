"""Who asks: a session's cookie or a token; and the client's address: the trusted proxies' word, and nobody else's."""

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from integrations.access import Denial, Principal, auth
from integrations.access.requester import client_address
from integrations.settings import panel_settings


class TrustedProxiesMiddleware(ProxyHeadersMiddleware):
    """Takes the client's address and the scheme from X-Forwarded-For and -Proto where a trusted proxy sent them."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, list(panel_settings().trusted_proxies))  # type: ignore[arg-type] # two spellings of ASGI


class AllowedHostsMiddleware(TrustedHostMiddleware):
    """400 for a Host that the operator did not name; without such a list every Host is answered.

    A page whose own name suddenly leads to a loopback address ("DNS rebinding") sends that name as its Host.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, panel_settings().allowed_hosts or ["*"], www_redirect=False)


def session_id_of(request: HTTPConnection) -> str | None:
    """The session id in the request's cookie."""
    return auth().session_id_in(request.headers.getlist("cookie"))


def client_of(request: HTTPConnection) -> str:
    """The client's address, for the log."""
    return client_address(request.client.host if request.client else None)


def bearer(request: HTTPConnection) -> Principal | Denial | None:
    """The machine behind a bearer token (RFC 6750); None where none was sent."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return auth().bearer(token.strip(), client=client_of(request)) if scheme.lower() == "bearer" else None


def authenticate(request: HTTPConnection) -> Principal | Denial:
    """The person behind the session's cookie."""
    return auth().authenticate(session_id_of(request), client=client_of(request))
