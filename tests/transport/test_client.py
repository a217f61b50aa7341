"""The HTTP client, over real sockets; `providers/test_conformance.py` tests the faults of docs/faults.md."""

import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from integrations.quota.errors import ErrorCode, ProviderError
from integrations.transport.client import MAX_ATTEMPTS, MAX_BODY_BYTES, Client
from integrations.transport.deadline import Deadline
from integrations.transport.response import Response
from tests.providers.hostile import BOMB, Behavior, answer, flooding, hostile, never_accepting
from tests.support.certificate import self_signed

HEADERS = {"Authorization": "test-key"}
GOOD = answer(200, b'{"left": 1}')


def client(deadline: float = 2) -> Client:
    """Return a client of no particular provider."""
    return Client(deadline=deadline, failure_in=lambda _: None)


def failure_of(url: str, deadline: float = 2) -> ProviderError:
    """Return the failure of a GET."""
    with closing(client(deadline)) as asker, pytest.raises(ProviderError) as caught:
        asker.get(url, headers=HEADERS)
    return caught.value


def got(url: str, deadline: float = 2) -> Response:
    """Return the answer to a GET."""
    with closing(client(deadline)) as asker:
        return asker.get(url, headers=HEADERS)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses between attempts instead of waiting."""
    recorded: list[float] = []
    monkeypatch.setattr(Deadline, "wait", lambda _deadline, seconds: recorded.append(seconds))
    return recorded


def test_a_temporary_failure_is_retried() -> None:
    """After a 503 the answer to the second attempt counts."""
    with hostile(answer(503), GOOD) as server:
        assert got(server.url).json() == {"left": 1}
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(503, ErrorCode.PROVIDER_UNAVAILABLE), (429, ErrorCode.RATE_LIMITED)]
)
def test_retry_after_beyond_the_deadline_fails_at_once(
    pauses: list[float], status: int, code: ErrorCode
) -> None:
    """The failure has the time to wait, from seconds or from a date."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    for header in ("120", date):
        with hostile(answer(status, Retry_After=header)) as server:
            failure = failure_of(server.url)
            assert failure.code is code
            assert failure.retry_after == pytest.approx(120, abs=2)
            assert len(server.requests) == 1
    assert pauses == []


@pytest.mark.parametrize(
    "body", [b" " * (MAX_BODY_BYTES + 1), gzip.compress(b" " * (MAX_BODY_BYTES + 1))], ids=["plain", "gzip"]
)
def test_a_body_has_at_most_one_mebibyte(body: bytes) -> None:
    """The limit is for the body after decompression."""
    headers = {} if body.startswith(b" ") else {"Content_Encoding": "gzip"}
    with hostile(answer(200, b'{"left": 1}'.ljust(MAX_BODY_BYTES)), answer(200, body, **headers)) as server:
        assert got(server.url).json() == {"left": 1}
        failure = failure_of(server.url)
    assert (failure.code, failure.http_status) == (ErrorCode.INVALID_RESPONSE, 200)


def test_retry_after_inside_the_deadline_is_waited_for(pauses: list[float]) -> None:
    """The next attempt comes after these 20 seconds, also for a 429."""
    with hostile(answer(429, Retry_After="20"), GOOD) as server:
        assert got(server.url, 60).status == 200
    assert pauses == [20]


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}])
def test_the_pauses_grow_and_are_random(pauses: list[float], headers: dict[str, Any]) -> None:
    """At least 0.1, 0.2 and 0.4 seconds, and at most 0.1 more; also with a Retry-After of 0."""
    with hostile(answer(503, **headers)) as server:
        failure_of(server.url)
        failure_of(server.url)
        assert len(server.requests) == 2 * MAX_ATTEMPTS
    for pause, least in zip(pauses, [0.1, 0.2, 0.4] * 2, strict=True):
        assert least <= pause <= least + 0.1
    assert pauses[:3] != pauses[3:]


def test_no_attempt_is_made_with_too_little_time_left(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure stays the 503; another attempt would turn it into a timeout."""
    monkeypatch.setattr(Deadline, "remaining", lambda _deadline: 0.24)  # the shortest pause and 0.14 s
    with hostile(answer(503)) as server:
        assert failure_of(server.url).http_status == 503
        assert len(server.requests) == 1
    assert pauses == []


@pytest.mark.parametrize(
    "behavior",
    [
        answer(200, BOMB, Content_Encoding="gzip"),
        answer(302, BOMB, Content_Encoding="gzip", Location="/"),
        flooding(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 900000000000\r\n\r\n", b" " * 65_536),
        flooding(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65_536),
        flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 65_536),
    ],
    ids=["bomb", "redirect with a bomb", "redirect without end", "body without end", "chunk without end"],
)
def test_no_answer_takes_much_memory(behavior: Behavior) -> None:
    """The size is limited while the answer is read."""
    with hostile(behavior) as server:
        tracemalloc.start()
        try:
            failure = failure_of(server.url)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert failure.code is ErrorCode.INVALID_RESPONSE
    assert most < 8 * MAX_BODY_BYTES


def test_the_environments_proxies_and_netrc_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The key goes to the provider's host alone, and no other credentials replace it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with hostile(GOOD) as proxy, hostile(GOOD) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        got(server.url)
        assert proxy.requests == []
        assert b"Authorization: test-key\r\n" in server.requests[0]


def test_a_closed_client_sends_nothing() -> None:
    """A GET after `close` is a timeout."""
    with hostile(GOOD) as server:
        asker = client()
        asker.close()
        with pytest.raises(ProviderError) as caught:
            asker.get(server.url, headers=HEADERS)
        assert caught.value.code is ErrorCode.TIMEOUT
        assert server.requests == []


def test_no_key_is_sent_to_a_server_without_a_trusted_certificate(tmp_path: Path) -> None:
    """The handshake fails and is not tried again."""
    with tls_server(tmp_path, b"{}") as (port, received):
        failure = failure_of(f"https://127.0.0.1:{port}/")
    assert failure.code is ErrorCode.NETWORK
    assert received == [b""]


@contextmanager
def tls_server(folder: Path, body: bytes, *, days: int = 1) -> Iterator[tuple[int, list[bytes]]]:
    """Serve HTTPS on 127.0.0.1 with a certificate of its own, `server.pem`.

    Yield the port and what each connection sent; nothing if the handshake failed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder, days=days))
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    received.append(b"")
                    with suppress(ssl.SSLError), context.wrap_socket(accepted, server_side=True) as peer:
                        received[-1] = peer.recv(65536)
                        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], received
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def test_a_private_authority_is_trusted_next_to_the_public_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PANEL_CA_FILE adds one."""
    with tls_server(tmp_path, b'{"left": 1}') as (port, _):
        monkeypatch.setenv("PANEL_CA_FILE", str(tmp_path / "server.pem"))
        with closing(client(5)) as asker:
            assert asker.get(f"https://127.0.0.1:{port}/", headers={}).body == b'{"left": 1}'
            pool = vars(asker._session.get_adapter("https://"))["poolmanager"]
    assert len(pool.connection_pool_kw["ssl_context"].get_ca_certs()) > 50


@contextmanager
def proxy() -> Iterator[tuple[int, list[bytes]]]:
    """Run a proxy that opens tunnels; yield its port and its requests."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                peer, _ = listener.accept()
                heard.append(peer.recv(65536))
                host, _, port = heard[0].split()[1].decode().partition(":")
                target = socket.create_connection((host, int(port)))
                peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=pump, args=(target, peer), daemon=True).start()
                pump(peer, target)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], heard
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until the end."""
    with suppress(OSError), source, sink:
        while data := source.recv(65536):
            sink.sendall(data)


def test_a_provider_is_called_through_the_proxy_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PANEL_HTTPS_PROXY and no other variable; the key passes inside the tunnel."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with tls_server(tmp_path, b"{}") as (port, received), proxy() as (proxy_port, heard):
        monkeypatch.setenv("PANEL_CA_FILE", str(tmp_path / "server.pem"))
        monkeypatch.setenv("PANEL_HTTPS_PROXY", f"http://panel:test-password@127.0.0.1:{proxy_port}")
        assert got(f"https://127.0.0.1:{port}/", 5).status == 200
    assert b"test-key" in received[0]
    assert heard[0].startswith(b"CONNECT 127.0.0.1:%d " % port)
    assert b"Proxy-Authorization: Basic " in heard[0]
    assert b"test-key" not in heard[0]


def test_a_proxy_that_hangs_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a provider that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("PANEL_HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        asker = client(0.5)
        began = time.monotonic()
        cut = threading.Timer(0.5, asker.close)
        cut.start()
        with pytest.raises(ProviderError) as caught:
            asker.get("https://provider.example/", headers={})
        assert time.monotonic() - began < 2
        cut.join()
    assert caught.value.code is ErrorCode.TIMEOUT


def test_a_host_in_no_proxy_is_reached_without_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service inside the company is not called through PANEL_HTTPS_PROXY."""
    with tls_server(tmp_path, b"{}") as (port, _):
        monkeypatch.setenv("PANEL_CA_FILE", str(tmp_path / "server.pem"))
        monkeypatch.setenv("PANEL_HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("PANEL_NO_PROXY", "inside.example,127.0.0.1")
        assert got(f"https://127.0.0.1:{port}/").status == 200


def test_credentials_that_a_proxy_refuses_are_sent_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the variable; a second attempt might lock the account."""
    with hostile(answer(407)) as refusing:
        monkeypatch.setenv("PANEL_HTTPS_PROXY", refusing.url)
        failure = failure_of("https://provider.example/")
        assert len(refusing.requests) == 1
    assert (failure.code, "check PANEL_HTTPS_PROXY" in str(failure)) == (ErrorCode.NETWORK, True)


def test_a_dead_address_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a silent first address, such as a broken IPv6 route, is reached by its second one."""
    with never_accepting() as dead, hostile(GOOD) as server:
        ports = [int(url.rpartition(":")[2]) for url in (dead, server.url)]
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert got("http://provider.example/", deadline=4).json() == {"left": 1}
