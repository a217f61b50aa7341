"""Answers and definitions for the tests of reading."""

from integrations.providers.declared.definition import Definition
from integrations.transport.response import Response
from tests.providers.definitions import definition


def response(body: str, status: int = 200, **headers: str) -> Response:
    """Return an answer."""
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body.encode())


def of(quotas: str, errors: str = " []") -> Definition:
    """Return a definition with these quotas and error rules."""
    return definition(f"label: A\nrequest: {{url: https://a.example/}}\nerrors:{errors}\nquotas: {quotas}\n")
