"""Error responses of the endpoints, as RFC 9457 defines them."""

from http import HTTPStatus
from typing import Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from integrations.access import Denial

NO_STORE: Final = {"Cache-Control": "no-store"}


class Problem(BaseModel):
    """The body of an error (RFC 9457), without detail of the inside."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: HTTPStatus, detail: str, **headers: str) -> Response:
    """Return an error; a header's name has `_` for `-`."""
    body = Problem(title=status.phrase, status=status, detail=detail).model_dump_json()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(body, status, {**NO_STORE, **named}, media_type="application/problem+json")


def method_not_allowed(request: Request) -> Response:
    """Return 405, for an endpoint that can only be read."""
    return problem(
        HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not possible here.", Allow="GET, HEAD"
    )


def stopping() -> Response:
    """Return 503, for a request that waits for readings while the panel stops."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "The panel is being stopped.", Retry_After="5")


def forbidden() -> Response:
    """Return 403, for a principal without the permission."""
    return problem(HTTPStatus.FORBIDDEN, "The permission integration:Read is needed.")


def denied(denial: Denial) -> Response:
    """Return the reason of a failed authentication: 401, 429 or 503."""
    if denial is Denial.UNAVAILABLE:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Sign-in is unavailable.")
    if denial is Denial.THROTTLED:
        return problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts. Try again later.", Retry_After="900")
    return problem(HTTPStatus.UNAUTHORIZED, "Sign in, or send a token.", WWW_Authenticate="Bearer")
