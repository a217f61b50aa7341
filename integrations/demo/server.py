"""The simulator's HTTP server: it finds the answer for a path and sends it as IMAI does."""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from typing import Final, Self

from pydantic import ValidationError
from typing_extensions import override

from integrations.demo.account import KEY, Account, Mode

HOST: Final = "127.0.0.1"
PORT: Final = 8599
SLOW_SECONDS: Final = 2.0
MAX_REQUEST_BODY: Final = 65_536

ACCOUNT_PATH: Final = "/api/account/info/"
CONTROL_PATH: Final = "/control"

Page = tuple[int, Mapping[str, str], bytes]
"""An answer: HTTP status, headers, body."""


class Simulator(Account):
    """An account with a server. A context manager that serves while it is open; it may be opened again.

    Args:
        port: of 127.0.0.1; 0 takes a free one.
        key: the accepted API key.
        drain_seconds: see `Account`.
        pages: more answers to GET, by path.
        clock: see `Account`.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        key: str = KEY,
        drain_seconds: float | None = None,
        pages: Mapping[str, Page] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(key=key, drain_seconds=drain_seconds, clock=clock)
        self.port, self.pages = port, dict(pages or {})

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        self.origin = f"http://{HOST}:{self.port}"
        self.url = f"{self.origin}/api"  # for IMAI_API_BASE_URL
        self._thread = Thread(target=self._server.serve, name="simulator", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.closing = True
        socket.create_connection((HOST, self.port)).close()  # wakes it
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # in the benchmark hundreds of viewers ask at once
    daemon_threads = False  # so that server_close waits for them
    closing = False

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, simulator.port), _Handler)

    def serve(self) -> None:
        """Serve until a connection arrives while `closing`; serve_forever would wake up several times a second."""
        while not self.closing:
            self.handle_request()

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the DNS for this host's name

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection, so that no handler waits on it."""
        for connection in tuple(self._connections):
            with suppress(OSError):  # the client has gone already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the client has left
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one segment

    def dispatch(self) -> None:
        """Answer this path and method."""
        simulator, body = self.server.simulator, self._request_body()
        path = self.path.partition("?")[0]
        if path == CONTROL_PATH and self.command == "PUT":
            self._change(body)
        elif path not in {ACCOUNT_PATH, CONTROL_PATH, *simulator.pages}:
            self._refuse(Mode.NOT_FOUND)
        elif self.command != "GET":
            self._refuse(Mode.METHOD_NOT_ALLOWED)
        elif path == ACCOUNT_PATH:
            self._account()
        elif path == CONTROL_PATH:
            self._send(200, json.dumps(simulator.state()).encode())
        else:
            status, headers, page = simulator.pages[path]
            self._send(status, page, headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = dispatch  # noqa: N815 - its names

    def _request_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) <= MAX_REQUEST_BODY and "Transfer-Encoding" not in self.headers:
            return self.rfile.read(int(length))
        self.close_connection = True  # otherwise an unread body would be taken for the next request
        return b""

    def _account(self) -> None:
        simulator = self.server.simulator
        mode, retry_after = simulator.admit(self.headers.get("authkey", ""))
        wait = simulator.latency_seconds or (SLOW_SECONDS if mode is Mode.SLOW else 0.0)
        if mode is Mode.HANG:
            self._outlasts(None)
        elif not wait or self._outlasts(wait):
            self._answer(mode, retry_after)

    def _answer(self, mode: Mode, retry_after: int | None) -> None:
        if mode in {Mode.OK, Mode.SLOW}:
            self._send(200, b'{"success": true, "credits": %s}' % self.server.simulator.balance().encode())
        elif mode.message:
            self._refuse(mode, retry_after)
        else:
            later = {} if retry_after is None else {"Retry-After": str(retry_after)}
            self._send(mode.status, b"<!doctype html><h1>A page</h1>", {"Content-Type": "text/html"} | later)

    def _change(self, body: bytes) -> None:
        try:
            self.server.simulator.control(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"]))
            self._refuse(Mode.BAD_REQUEST, message=f"{place}: {first['msg']}" if place else first["msg"])
        else:
            self._send(200, json.dumps(self.server.simulator.state()).encode())

    def _refuse(self, mode: Mode, retry_after: int | None = None, *, message: str | None = None) -> None:
        """Answer in the form of IMAI's errors."""
        document = {"success": False, "error": mode.value, "error_message": message or mode.message}
        later = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        self._send(mode.status, json.dumps(document).encode(), later)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        every = {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}
        if self.close_connection:
            every["Connection"] = "close"
        self.send_response(status)
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _outlasts(self, seconds: float | None) -> bool:
        """Wait; return False as soon as the client leaves or the simulator closes."""
        self.connection.settimeout(seconds)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(None)
        self.close_connection = True
        return False

    @override
    def send_error(self, code: int, *_: object) -> None:
        # http.server refuses unknown methods and broken requests; they get the form of IMAI's errors too.
        self.close_connection = True
        self._refuse(Mode.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else Mode.BAD_REQUEST)

    @override
    def log_message(self, *_: object) -> None:
        pass


def serve(ready: Callable[[Simulator], None], *, port: int = PORT) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread; `ready` is called with the simulator once it answers.

    Raises:
        OSError: the port is taken.
    """
    ends = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # sigwait takes them instead
    try:
        with Simulator(port) as simulator:
            ready(simulator)
            signal.sigwait(ends)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
