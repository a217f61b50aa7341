"""The reasons of failed connections, for the log and `integrations check`."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations.quota.errors import ErrorCode
from tests.providers.hostile import answer, hostile, raw
from tests.transport.test_client import failure_of, got, tls_server

JSON = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Run an HTTPS server whose certificate ends in this number of days; yield its port."""
    with tls_server(tmp_path, b"{}", days=request.param) as (port, _):
        yield port


@pytest.mark.parametrize(
    ("port", "host", "trusted", "reason"),
    [
        (1, "127.0.0.1", False, "its certificate is self-signed: name its authority in PANEL_CA_FILE"),
        (-1, "127.0.0.1", True, "its certificate has expired"),
        (1, "localhost", True, "its certificate is for another host name"),
    ],
    indirect=["port"],
)
def test_a_bad_certificate_is_named(
    port: int,
    host: str,
    trusted: bool,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason names the setting that helps, if there is one."""
    if trusted:
        monkeypatch.setenv("PANEL_CA_FILE", str(tmp_path / "server.pem"))
    failure = failure_of(f"https://{host}:{port}/")
    assert (failure.code, failure.args[0]) == (ErrorCode.NETWORK, reason)


def test_unknown_names_and_closed_ports_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cause most errors in an address."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "of the system")

    assert failure_of("http://127.0.0.1:9/").args[0] == "connection refused"
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure_of("http://provider.example/").args[0] == "unknown host name"


def test_a_closed_port_of_the_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an admin would look for the fault at the provider."""
    monkeypatch.setenv("PANEL_HTTPS_PROXY", "http://127.0.0.1:9")
    assert failure_of("https://provider.example/").args[0] == "the proxy: connection refused"


@pytest.mark.parametrize(
    "torn", [b"", JSON + b"Content-Length: 50\r\n\r\n{", JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"]
)
def test_a_torn_connection_is_tried_again(torn: bytes) -> None:
    """It may tear before the answer, in its body, or in a chunk."""
    with hostile(raw(torn), answer(200, b"{}")) as server:
        assert got(server.url).json() == {}
        assert len(server.requests) == 2
    with hostile(raw(torn)) as server:
        assert failure_of(server.url).args[0] == "connection torn"


def test_a_page_of_a_proxy_does_not_blame_the_key() -> None:
    """A bot check or a filter in front of the service answers 403 with HTML."""
    with hostile(answer(403, b"<!doctype html><title>Just a moment</title>")) as server:
        failure = failure_of(server.url)
    assert failure.code is ErrorCode.INVALID_RESPONSE
    assert "something in front of the service answered" in str(failure)
