"""A stand-in for IMAI's account API on loopback: the demo's provider and the tests' peer.

It speaks real HTTP, so its caller meets what a network does. A call is checked as IMAI does (path, method, key,
rate limit); then the mode decides how it is answered. Whatever waits, waits on its own connection: it ends when
the client leaves or the simulator closes.
"""

import gzip
import hmac
import ipaddress
import json
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from email.message import Message
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from socketserver import TCPServer
from threading import RLock, Thread
from typing import Self

HOST = "127.0.0.1"
PORT = 8599
KEY = "test-key-imai-simulator"
CREDITS = Decimal(7500)
STEP = Decimal("0.02")  # the price of IMAI's cheapest call
SLOW_SECONDS = 2.0
ACCOUNT, CONTROL, ELSEWHERE = "/api/account/info/", "/control", "/elsewhere/"
MAX_REQUEST_BODY = 65_536

Answer = Callable[["_Handler"], None]


def _body(body: bytes) -> Answer:
    return lambda handler: handler.send(200, body)


def _credits(text: str) -> Answer:
    return _body(b'{"success": true, "credits": %s}' % text.encode())


def _balance(handler: "_Handler") -> None:
    _credits(exact(handler.simulator.credits))(handler)


def _success_false(handler: "_Handler") -> None:
    handler.fail(200, handler.simulator.error_code, "The call did not succeed.")


def _page(status: int) -> Answer:
    def answer(handler: "_Handler") -> None:
        later = handler.retry_after("") if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        handler.send(status, b"<!doctype html><h1>A page</h1>", {"Content-Type": "text/html"} | later)

    return answer


def _flaky(handler: "_Handler") -> None:
    (_page(503) if handler.simulator.fails_now() else _balance)(handler)


def _redirect(handler: "_Handler") -> None:
    handler.send(302, b"", {"Location": handler.simulator.origin + ELSEWHERE})


def _broken(headers: bytes = b"", drop: bytes | None = None) -> Answer:
    """Send some headers, or nothing; then close (no drop), keep silent (an empty one) or drip for ever."""

    def answer(handler: "_Handler") -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + headers if headers else b"")
        while drop is not None and handler.lingers(handler.simulator.drip_seconds if drop else None):
            handler.wfile.write(drop)

    return answer


def _big_body(handler: "_Handler") -> None:
    handler.send(200, b"", {"Transfer-Encoding": "chunked"})
    for part in (b'{"success": true, "credits": 7500', *[b" " * 65_536] * 32, b"}", b""):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))


@cache
def _bomb() -> bytes:
    return gzip.compress(b'{"success": true, "credits": 7500%s}' % (b" " * 2**25))


def _gzip_bomb(handler: "_Handler") -> None:
    handler.send(200, _bomb(), {"Content-Encoding": "gzip"})


class Mode(StrEnum):
    """How the account call is answered. A line is the mode's name and its answer, or status and error_message."""

    answer: Answer

    def __new__(cls, name: str, answer: Answer | int, text: str = "") -> Self:
        """Make a member that equals its name and carries its answer."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.answer = (
            (lambda handler: handler.fail(answer, name, text)) if isinstance(answer, int) else answer
        )
        return member

    OK = "ok", _balance
    # IMAI's own errors.
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
    SUCCESS_FALSE = "success_false", _success_false  # status 200, and the simulator's error_code
    # What stands between IMAI and its caller. The pages with an error status are HTML.
    HTTP_500 = "http_500", _page(500)
    HTTP_502 = "http_502", _page(502)
    HTTP_503 = "http_503", _page(503)  # Retry-After: retry_after, or none
    HTTP_504 = "http_504", _page(504)
    FLAKY = "flaky", _flaky  # 503 to the first request after the mode is set, the balance to the others
    SLOW = "slow", _balance  # after latency_seconds, or after two when that is 0
    HANG = "hang", _broken(drop=b"")  # takes the request, never answers
    STALL = "stall", _broken(b"Content-Length: 35\r\n\r\n", b"")  # headers, then silence
    DRIP = "drip", _broken(b"Content-Length: 1000000\r\n\r\n", b" ")  # a byte of the body every drip_seconds
    DRIP_CHUNKED = "drip_chunked", _broken(b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")  # likewise
    DRIP_HEADERS = "drip_headers", _broken(b"X-Padding: ", b"x")  # likewise, in a header that never ends
    CUT_OFF = "cut_off", _broken(b'Content-Length: 35\r\n\r\n{"success": true, ')  # then closes
    RESET = "reset", _broken()  # closes without an answer
    REDIRECT = "redirect", _redirect  # 302 to a path that gives a balance; leaked tells who sends it a key
    # Status 200, and a body that makes no sense.
    NOT_JSON = "not_json", _page(200)
    NOT_UTF8 = "not_utf8", _body('{"success": true, "credits": 7500, "plan": "Größe"}'.encode("latin-1"))
    EMPTY = "empty", _body(b"")
    ARRAY = "array", _body(b'[{"success": true, "credits": 7500}]')
    DUPLICATE_KEYS = "duplicate_keys", _credits('7500, "credits": 1')
    DEEP_NESTING = "deep_nesting", _credits("[" * 100_000 + "]" * 100_000)
    BIG_BODY = "big_body", _big_body  # over 2 MiB, chunked, so that no header announces the size
    GZIP_BOMB = "gzip_bomb", _gzip_bomb  # some 33 KB that unpack to over 32 MiB
    CREDITS_MISSING = "credits_missing", _body(b'{"success": true}')
    CREDITS_STRING = "credits_string", _credits('"7500"')
    CREDITS_BOOL = "credits_bool", _credits("true")
    CREDITS_NULL = "credits_null", _credits("null")
    CREDITS_LIST = "credits_list", _credits("[7500]")
    CREDITS_NAN = "credits_nan", _credits("NaN")
    CREDITS_INFINITY = "credits_infinity", _credits("Infinity")
    CREDITS_1E400 = "credits_1e400", _credits("1e400")
    CREDITS_TOO_BIG = "credits_too_big", _credits("1000000000001")


def exact(number: Decimal) -> str:
    """Write a number as JSON does with every digit kept: 7499.98, and 7500 without a point."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _amount(value: object) -> Decimal:
    with suppress(InvalidOperation):
        amount = Decimal(str(value))
        if amount.is_finite():
            return amount
    raise ValueError(f"{value!r} is not a number of credits")


def _mode(value: object) -> Mode:
    with suppress(StopIteration):
        return next(mode for mode in Mode if mode == value)
    raise ValueError(f"{value!r} is not a mode; the modes are: {', '.join(Mode)}")


def _seconds(value: object) -> float:
    seconds = float(str(value))
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - nobody waits longer than an hour
        raise ValueError(f"{value!r} is not a number of seconds from 0 to 3600")
    return seconds


CONTROLS: Mapping[str, Callable[[object], object]] = {
    "reset": bool,
    "mode": _mode,
    "credits": _amount,
    "spend": _amount,
    "latency_seconds": _seconds,
    "drip_seconds": _seconds,
    "retry_after": lambda value: None if value is None else str(value),
    "error_code": str,
}
STATE = ("mode", "latency_seconds", "drip_seconds", "retry_after", "error_code", "calls", "leaked")


class Simulator:
    """One simulated account. A context manager: it serves while it is open, and may be opened again."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that a test needs otherwise
        self,
        host: str = HOST,  # loopback only
        port: int = 0,  # 0 takes a free one
        *,
        key: str = KEY,
        credits: Decimal = CREDITS,  # noqa: A002 - IMAI's word for it
        mode: Mode | str = Mode.OK,
        drain_seconds: float | None = None,  # the balance loses 0.02 each so many seconds, and stops at 0
        rate_limit: int = 10,  # requests a second
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host, self.port, self.key = _loopback(host), port, key
        self._initial = (_amount(credits), _mode(mode))
        self._drain_seconds, self._rate_limit, self._clock = drain_seconds, rate_limit, clock
        self._lock = RLock()
        self._server: _Server | None = None
        self.reset()

    def reset(self) -> None:
        """Go back to the state at the start."""
        with self._lock:
            self.credits, self.mode = self._initial
            self.latency_seconds = 0.0  # before every answer of the account call
            self.drip_seconds = 1.0
            self.retry_after: str | int | None = None
            self.error_code = "invalid_api_key"
            self.calls = 0  # GETs that reached the account call, refused ones included
            self.leaked = False  # whether the target of a redirect was sent a key
            self.last_headers: dict[str, str] = {}  # of the last account call; names in lower case
            self._served: deque[float] = deque()  # when the requests of the last second came

    @property
    def mode(self) -> Mode:
        """How the account call is answered."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode | str) -> None:
        with self._lock:
            self._mode, self._failed_once = _mode(mode), False

    @property
    def credits(self) -> Decimal:
        """What remains now."""
        with self._lock:
            if self._drain_seconds:
                steps = int((self._clock() - self._drained_at) / self._drain_seconds)
                self._drained_at += steps * self._drain_seconds
                self._credits -= min(STEP * steps, max(self._credits, Decimal(0)))
            return self._credits

    @credits.setter  # noqa: A003 - IMAI's word for it
    def credits(self, amount: Decimal | int | str) -> None:
        with self._lock:
            self._credits, self._drained_at = _amount(amount), self._clock()

    def spend(self, amount: Decimal | int | str) -> None:
        """Take credits from the balance, below 0 if need be."""
        with self._lock:
            self._credits = self.credits - _amount(amount)

    def control(self, wishes: object) -> None:
        """Do all that the JSON object of a PUT asks, or raise ValueError and do nothing."""
        if not isinstance(wishes, dict) or not wishes.keys() <= CONTROLS.keys():
            raise ValueError(f"send a JSON object with some of: {', '.join(CONTROLS)}")
        values = {name: CONTROLS[name](wishes[name]) for name in CONTROLS if name in wishes}
        with self._lock:
            if values.pop("reset", False):
                self.reset()
            spent = _amount(values.pop("spend", 0))
            for name, value in values.items():
                setattr(self, name, value)
            self.spend(spent)

    def state(self) -> dict[str, object]:
        """Tell what GET of the control URL answers."""
        with self._lock:
            return {name: getattr(self, name) for name in STATE} | {"credits": exact(self.credits)}

    def check(self, headers: Message) -> Mode | None:
        """Note an account call; say why it is refused, if it is."""
        key = headers.get("authkey", "").encode("latin-1", "replace")
        with self._lock:
            self.calls += 1
            self.last_headers = {name.lower(): value for name, value in headers.items()}
            if not key:
                return Mode.NOT_AUTHENTICATED
            if not hmac.compare_digest(key, self.key.encode()):
                return Mode.INVALID_API_KEY
            return None if self._has_room() else Mode.RATE_LIMIT_EXCEEDED

    def _has_room(self) -> bool:
        now = self._clock()
        while self._served and self._served[0] <= now - 1:
            self._served.popleft()
        if room := len(self._served) < self._rate_limit:
            self._served.append(now)
        return room

    def fails_now(self) -> bool:
        """Tell whether the mode flaky fails this request."""
        with self._lock:
            fails, self._failed_once = not self._failed_once, True
        return fails

    def start(self) -> Self:
        """Begin to serve; after a close, on the same port again."""
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        self.origin = f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        self.url = f"{self.origin}/api"  # for IMAI_API_BASE_URL
        self.control_url = self.origin + CONTROL  # GET tells the state, PUT changes it
        self._thread = Thread(target=self._server.serve, name="simulator", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Hang up on everybody and leave no thread behind."""
        if self._server is not None:
            self._server.closing = True
            socket.create_connection((self.host, self.port)).close()  # wakes it
            self._thread.join()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def _loopback(host: str) -> str:
    address = HOST if host == "localhost" else host
    with suppress(ValueError):
        if ipaddress.ip_address(address).is_loopback:
            return address
    raise ValueError(f"the simulator serves loopback only: give 127.0.0.1, ::1 or localhost, not {host!r}")


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    closing = False

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._peers: list[tuple[Thread, socket.socket]] = []
        self.address_family = socket.AF_INET6 if ":" in simulator.host else socket.AF_INET
        super().__init__((simulator.host, simulator.port), _Handler)

    def serve(self) -> None:
        """Serve until a connection comes while `closing`; serve_forever would have to wake up and look."""
        while not self.closing:
            self.handle_request()

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own would ask the DNS for its name

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Answer in a daemon thread, and remember it: ThreadingMixIn forgets those."""
        task = self.process_request_thread
        thread = Thread(target=task, args=(request, client_address), name="simulator peer", daemon=True)
        self._peers = [*(peer for peer in self._peers if peer[0].is_alive()), (thread, request)]
        thread.start()

    def hang_up(self) -> None:
        for _, connection in self._peers:
            with suppress(OSError):  # it has hung up already
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._peers:
            thread.join()

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that leaves is no error
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def dispatch(self) -> None:
        """Find who answers this path and method."""
        self.body = self.request_body()
        methods = ROUTES.get(self.path.partition("?")[0])
        if methods is None:
            Mode.NOT_FOUND.answer(self)
        else:
            methods.get(self.command, Mode.METHOD_NOT_ALLOWED.answer)(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = dispatch  # noqa: N815 - its names

    def request_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) <= MAX_REQUEST_BODY and "Transfer-Encoding" not in self.headers:
            return self.rfile.read(int(length))
        self.close_connection = True  # what is not read must not be taken for the next request
        return b""

    def account(self) -> None:
        """Answer the account call."""
        if refused := self.simulator.check(self.headers):
            refused.answer(self)
            return
        mode = self.simulator.mode
        wait = self.simulator.latency_seconds or (SLOW_SECONDS if mode is Mode.SLOW else 0)
        if not wait or self.lingers(wait):
            mode.answer(self)

    def elsewhere(self) -> None:
        """Tempt a caller that follows redirects."""
        self.simulator.leaked |= "authkey" in self.headers
        _balance(self)

    def tell(self) -> None:
        """Answer with the simulator's state."""
        self.send(200, json.dumps(self.simulator.state()).encode())

    def change(self) -> None:
        """Change the simulator's state."""
        try:
            self.simulator.control(json.loads(self.body, parse_float=Decimal))
        except (ValueError, RecursionError) as error:
            self.fail(400, Mode.BAD_REQUEST, str(error))
        else:
            self.tell()

    @property
    def simulator(self) -> Simulator:
        return self.server.simulator

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def send_error(self, code: int, *_: object) -> None:
        """Answer in IMAI's envelope what http.server refuses: an odd method, a broken request."""
        self.close_connection = True
        (Mode.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else Mode.BAD_REQUEST).answer(self)

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer; a header without a value is left out."""
        every = {"Content-Type": "application/json", "Content-Length": str(len(body))} | dict(headers or {})
        if "Transfer-Encoding" in every:
            del every["Content-Length"]
        every["Connection"] = "close" if self.close_connection else ""
        self.send_response(status)
        for name, value in every.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def fail(self, status: int, code: str, text: str) -> None:
        envelope = {"success": False, "error": code, "error_message": text}
        headers = {}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers = self.retry_after("120") if self.simulator.mode == code else {"Retry-After": "1"}
        self.send(status, json.dumps(envelope).encode(), headers)

    def retry_after(self, default: str) -> dict[str, str]:
        value = self.simulator.retry_after
        return {"Retry-After": default if value is None else str(value)}

    def lingers(self, seconds: float | None) -> bool:
        """Wait; false as soon as the client has left or the simulator closes."""
        self.connection.settimeout(seconds)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except (TimeoutError, BlockingIOError):
            return True
        finally:
            self.connection.settimeout(None)
        self.close_connection = True
        return False


ROUTES: Mapping[str, Mapping[str, Answer]] = {
    ACCOUNT: {"GET": _Handler.account},
    CONTROL: {"GET": _Handler.tell, "PUT": _Handler.change},
    ELSEWHERE: {"GET": _Handler.elsewhere},
}


def serve(  # noqa: PLR0913 - the options of the command
    ready: Callable[[Simulator], None],
    *,
    host: str = HOST,
    port: int = PORT,
    key: str = KEY,
    credits: Decimal = CREDITS,  # noqa: A002 - IMAI's word for it
    mode: Mode | str = Mode.OK,
    drain_seconds: float | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; call from the main thread. `ready` gets the simulator once it answers."""
    signals: SimpleQueue[int] = SimpleQueue()  # its put may be called from a signal handler

    def stop(number: int, _: object) -> None:
        signals.put(number)

    simulator = Simulator(host, port, key=key, credits=credits, mode=mode, drain_seconds=drain_seconds)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            ready(simulator)
            signals.get()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
