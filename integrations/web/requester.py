"""Who makes a request: the session's cookie, a token, and the client's address as trusted proxies report it."""

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from integrations.access import Denial, Principal, auth
from integrations.access.requester import client_address
from integrations.settings import panel_settings


class TrustedProxiesMiddleware(ProxyHeadersMiddleware):
    """Takes the client's address and the scheme from X-Forwarded-For and -Proto if a trusted proxy sent them."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, list(panel_settings().trusted_proxies))  # type: ignore[arg-type] # two spellings of ASGI


class AllowedHostsMiddleware(TrustedHostMiddleware):
    """Answers 400 if Host is not in `PANEL_ALLOWED_HOSTS`; an empty list allows every Host.

    It prevents DNS rebinding: a foreign page with a name that resolves to a loopback address sends this name as Host.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, panel_settings().allowed_hosts or ["*"], www_redirect=False)


def session_id_of(request: HTTPConnection) -> str | None:
    """Return the session id in the request's cookie."""
    return auth().session_id_in(request.headers.getlist("cookie"))


def client_of(request: HTTPConnection) -> str:
    """Return the client's address, for the log."""
    return client_address(request.client.host if request.client else None)


def authenticate_token(request: HTTPConnection) -> Principal | Denial | None:
    """Return the machine of a bearer token (RFC 6750); None if no token was sent."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return (
        auth().authenticate_token(token.strip(), client=client_of(request))
        if scheme.lower() == "bearer"
        else None
    )


def authenticate(request: HTTPConnection) -> Principal | Denial:
    """Return the person of the session's cookie."""
    return auth().authenticate(session_id_of(request), client=client_of(request))
