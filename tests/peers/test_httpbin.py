"""Where a key stands, told by a server that nobody here wrote: httpbin answers what it was asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.providers.declared.provider import DeclaredAccount, DeclaredProvider
from integrations.quota.errors import ErrorCode
from integrations.readings import fetch
from integrations.transport.response import Response
from tests.providers.definitions import VARIABLE, definition
from tests.support.processes import ROOT, accepts, clean_environment, free_port, process

KEY = "test$key+1/=%&"


PYTHON = ROOT / ".peers" / "httpbin" / "bin" / "python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="httpbin is not installed: make test does it")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where httpbin answers."""
    port = free_port()
    command = [str(PYTHON), "-m", "httpbin.core", "--port", str(port)]
    log_file = tmp_path_factory.mktemp("httpbin") / "log"
    with process(command, log_file, clean_environment({})) as running:
        running.wait_for(lambda: accepts(port))
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setenv("SECOND", "second-key")


def asked(peer: str, request: str, *variables: str, values: dict[str, str] | None = None) -> Response:
    """What httpbin answers to a definition's request."""
    text = f"label: A\nrequest: {{url: {peer}{request}}}\nquotas: [{{unit: x, used: u}}]\n"
    account = DeclaredAccount("A", variables or (VARIABLE,), values=values or {})
    provider = DeclaredProvider(definition(text), account)
    return fetch.within_deadline(provider, provider.ask)


def told(response: Response) -> dict[str, Any]:
    """Httpbin's description of the request."""
    document = response.json()
    assert isinstance(document, dict)
    return document


def test_a_header(peer: str) -> None:
    """By its name, as it is."""
    found = told(asked(peer, "/get, key: {header: X-Api-Key}"))
    assert found["headers"]["X-Api-Key"] == KEY
    assert found["args"] == {}


def test_a_header_with_a_prefix(peer: str) -> None:
    """Httpbin finds the token behind the word Bearer."""
    response = asked(peer, '/bearer, key: {header: Authorization, prefix: "Bearer "}')
    assert response.json() == {"authenticated": True, "token": KEY}


def test_the_query(peer: str) -> None:
    """Every character arrives, beside the constants."""
    found = told(asked(peer, "/get, query: {a: b c}, key: {query: api-key}"))
    assert found["args"] == {"a": "b c", "api-key": KEY}


def test_basic(peer: str) -> None:
    """Httpbin lets the user in by name and password."""
    path = "/basic-auth/{sid}/second-key, key: {basic: '{sid}'}"
    response = asked(peer, path.replace("/{sid}", "/AC0123"), "SECOND", values={"sid": "AC0123"})
    assert response.json() == {"authenticated": True, "user": "AC0123"}


def test_a_wrong_password_of_basic_is_a_rejected_key(peer: str) -> None:
    """Httpbin's 401, without a body."""
    account = DeclaredAccount("A", (VARIABLE,))
    text = f"label: A\nrequest: {{url: {peer}/basic-auth/a/b, key: {{basic: a}}}}\nquotas: [{{unit: x, used: u}}]\n"
    outcome = fetch.fetch(DeclaredProvider(definition(text), account))
    assert outcome.failure is not None
    assert outcome.failure.code is ErrorCode.AUTHENTICATION_FAILED


def test_two_secrets_in_two_places(peer: str) -> None:
    """Each from its own variable."""
    keys = "key: [{header: X-Id, secret: ID}, {query: token, secret: TOKEN}]"
    found = told(asked(peer, f"/get, {keys}", "SECOND", VARIABLE))
    assert found["headers"]["X-Id"] == "second-key"
    assert found["args"] == {"token": KEY}


def test_a_post_with_json(peer: str) -> None:
    """The constant body, as JSON."""
    found = told(asked(peer, "/post, method: POST, json: {a: [1, true, null]}, key: {header: X-Key}"))
    assert found["json"] == {"a": [1, True, None]}
    assert found["headers"]["Content-Type"] == "application/json"
