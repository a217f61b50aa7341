"""A stand-in for IMAI's account API on loopback: what the demo shows, and what tests and the benchmark ask.

It speaks real HTTP. A call is checked as IMAI checks it (path, method, key, rate limit); then the mode decides how it
is answered. `GET /control` tells the simulator's state as JSON, `PUT /control` changes it. Samples of other services
can be served beside it (`pages`).
"""

import hmac
import json
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import RLock, Thread
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

HOST: Final = "127.0.0.1"
PORT: Final = 8599
KEY: Final = "test-key-imai-simulator"
CREDITS: Final = Decimal(7500)
CHEAPEST_CALL: Final = Decimal("0.02")
"""The price in credits of IMAI's cheapest call."""
RATE_LIMIT: Final = 10
"""Requests a second that IMAI allows."""
SLOW_SECONDS: Final = 2.0
FLAKY_EVERY: Final = 3
MAX_REQUEST_BODY: Final = 65_536

ACCOUNT_PATH: Final = "/api/account/info/"
CONTROL_PATH: Final = "/control"

Page = tuple[int, Mapping[str, str], bytes]
"""An answer as it is sent: HTTP status, headers, body."""


class Mode(StrEnum):
    """How the account call is answered. A line is the mode's name, the HTTP status and IMAI's `error_message`."""

    status: int
    message: str

    def __new__(cls, name: str, status: int = 200, message: str = "") -> Self:
        """Make a member that equals its name."""
        member = str.__new__(cls, name)
        member._value_, member.status, member.message = name, status, message
        return member

    OK = "ok"
    # IMAI's documented errors.
    BAD_REQUEST = "bad_request", 400, "The request is wrong."
    BAD_FILTER = "bad_filter", 400, "A filter of the request is wrong."
    ENTITY_NOT_FOUND = "entity_not_found", 400, "What the request names does not exist."
    RETRY_LATER = "retry_later", 400, "Updating: retry in 5 to 10 minutes."
    NO_TOKENS_REMAINING = "no_tokens_remaining", 400, "No tokens are left."
    NO_QUOTA_REMAINING = "no_quota_remaining", 400, "No quota is left."
    DAILY_TOKENS_LIMIT_EXCEEDED = "daily_tokens_limit_exceeded", 400, "The daily spending limit is reached."
    NOT_AUTHENTICATED = "not_authenticated", 401, "No API key was sent."
    INVALID_API_KEY = "invalid_api_key", 403, "The API key is wrong."
    TOKEN_IS_DISABLED = "token_is_disabled", 403, "The API key is disabled."
    TOKENS_EXPIRED = "tokens_expired", 403, "The tokens have expired."
    SUBSCRIPTION_EXPIRED = "subscription_expired", 403, "The subscription has expired."
    SUBSCRIPTION_REQUIRED = "subscription_required", 403, "There is no subscription."
    PERMISSION_DENIED = "permission_denied", 403, "The API key may not do this."
    NOT_FOUND = "not_found", 404, "There is no such URL."
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The method is wrong."
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded", 429, "Too many requests."  # Retry-After: retry_after, or 120
    INTERNAL_SERVER_ERROR = "internal_server_error", 500, "An internal error: retry later."
    # An HTML page of something that stands between IMAI and its caller.
    HTTP_500 = "http_500", 500
    HTTP_502 = "http_502", 502
    HTTP_503 = "http_503", 503  # Retry-After: retry_after, or none
    HTTP_504 = "http_504", 504
    # Time and chance.
    FLAKY = "flaky"  # every third call is an internal_server_error, the others get the balance
    SLOW = "slow"  # the balance after latency_seconds, or after two seconds when that is 0
    HANG = "hang"  # takes the request and never answers


Amount = Annotated[Decimal, Field(allow_inf_nan=False)]
"""A number of credits."""


class Controls(BaseModel):
    """The body of `PUT /control`. What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reset: StrictBool = False  # back to the state at the start, before anything else is done
    mode: Mode = Mode.OK
    credits: Amount = CREDITS  # what remains
    spend: Amount = Decimal(0)  # to take from what remains, below 0 if need be
    latency_seconds: float = Field(default=0, ge=0, le=3600)  # before every answer of the account call
    retry_after: int | None = Field(default=None, ge=0)  # seconds, for the header of that name
    rate_limit: int = Field(default=RATE_LIMIT, ge=0)  # requests a second


class Simulator:
    """One simulated account. A context manager: it serves while it is open, and may be opened again.

    Its attributes `mode`, `credits`, `latency_seconds`, `retry_after` and `rate_limit` may be set at any time; they
    mean what they mean in `Controls`. `calls` counts the GETs that reached the account call, refused ones included.

    Args:
        port: of 127.0.0.1; 0 takes a free one.
        key: the API key that is accepted.
        drain_seconds: each time so many seconds have passed, 0.02 credits are spent, until 0 is reached.
        pages: more answers to GET, by their path.
        clock: seconds, as `time.monotonic` gives them.
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
        self.port, self.key, self.pages = port, key, dict(pages or {})
        self._drain_seconds, self._clock = drain_seconds, clock
        self._lock = RLock()
        self.reset()

    def reset(self) -> None:
        """Go back to the state at the start."""
        with self._lock:
            self.mode: Mode | str = Mode.OK
            self.credits = CREDITS
            self.latency_seconds = 0.0
            self.retry_after: int | None = None
            self.rate_limit = RATE_LIMIT
            self.calls = 0
            self._admitted: deque[float] = deque()  # when the calls of the last second came

    @property
    def credits(self) -> Decimal:
        """What remains now."""
        with self._lock:
            if self._drain_seconds:
                steps = int((self._clock() - self._drained_at) / self._drain_seconds)
                self._drained_at += steps * self._drain_seconds
                self._credits -= min(CHEAPEST_CALL * steps, max(self._credits, Decimal(0)))
            return self._credits

    @credits.setter  # noqa: A003 - IMAI's word for it
    def credits(self, amount: Decimal | int | str) -> None:
        with self._lock:
            self._credits, self._drained_at = Decimal(amount), self._clock()

    def spend(self, amount: Decimal | int | str) -> None:
        """Take credits from what remains, below 0 if need be."""
        with self._lock:
            self._credits = self.credits - Decimal(amount)

    def control(self, document: bytes) -> None:
        """Do what the body of a `PUT /control` asks.

        Raises:
            ValidationError: something is wrong with it; then nothing is changed.
        """
        changes = Controls.model_validate_json(document)
        with self._lock:
            if changes.reset:
                self.reset()
            for name in changes.model_fields_set - {"reset", "spend"}:
                setattr(self, name, getattr(changes, name))
            self.spend(changes.spend)

    def state(self) -> dict[str, object]:
        """What `GET /control` answers."""
        with self._lock:
            names = ("mode", "latency_seconds", "retry_after", "rate_limit", "calls")
            return {name: getattr(self, name) for name in names} | {"credits": self.balance()}

    def balance(self) -> str:
        """What remains, as JSON writes it: 7499.98, and 7500 without a point."""
        return f"{self.credits.normalize():f}"

    def admit(self, key: str) -> tuple[Mode, int | None]:
        """Count an account call and decide how it is answered: the mode for this call, and its Retry-After."""
        with self._lock:
            self.calls += 1
            if not key:
                return Mode.NOT_AUTHENTICATED, None
            if not hmac.compare_digest(key.encode("latin-1", "replace"), self.key.encode()):
                return Mode.INVALID_API_KEY, None
            if not self._has_room():
                return Mode.RATE_LIMIT_EXCEEDED, 1
            if self.mode == Mode.FLAKY:
                return Mode.OK if self.calls % FLAKY_EVERY else Mode.INTERNAL_SERVER_ERROR, None
            if self.mode == Mode.RATE_LIMIT_EXCEEDED and self.retry_after is None:
                return Mode.RATE_LIMIT_EXCEEDED, 120
            return Mode(self.mode), self.retry_after

    def _has_room(self) -> bool:
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - 1:
            self._admitted.popleft()
        room = len(self._admitted) < self.rate_limit
        if room:
            self._admitted.append(now)
        return room

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
        """Serve until a connection comes while `closing`; serve_forever would wake up several times a second."""
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
        """End every connection, so that whoever waits in it goes on."""
        for connection in tuple(self._connections):
            with suppress(OSError):  # the client has gone already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that leaves is no error
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one segment

    def dispatch(self) -> None:
        """Find out who answers this path and method."""
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
        self.close_connection = True  # what is not read must not be taken for the next request
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
        """Wait; false as soon as the client has left or the simulator closes."""
        self.connection.settimeout(seconds)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(None)
        self.close_connection = True
        return False

    def send_error(self, code: int, *_: object) -> None:
        """Answer in the form of IMAI's errors what http.server refuses: an odd method, a broken request."""
        self.close_connection = True
        self._refuse(Mode.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else Mode.BAD_REQUEST)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def serve(ready: Callable[[Simulator], None], *, port: int = PORT) -> None:
    """Serve until SIGINT or SIGTERM; call from the main thread. `ready` gets the simulator once it answers.

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
