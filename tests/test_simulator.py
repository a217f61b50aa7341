"""The simulator over real sockets: what IMAI documents, and every way in which a network or a vendor fails."""

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from integrations.simulator import KEY, Mode, Simulator

ACCOUNT = "/api/account/info/"
# The table of IMAI's reference, written out again so that a slip in the simulator shows.
DOCUMENTED = [
    (400, "bad_request"),
    (400, "bad_filter"),
    (400, "entity_not_found"),
    (400, "retry_later"),
    (400, "no_tokens_remaining"),
    (400, "no_quota_remaining"),
    (400, "daily_tokens_limit_exceeded"),
    (401, "not_authenticated"),
    (403, "invalid_api_key"),
    (403, "token_is_disabled"),
    (403, "tokens_expired"),
    (403, "subscription_expired"),
    (403, "subscription_required"),
    (403, "permission_denied"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (429, "rate_limit_exceeded"),
    (500, "internal_server_error"),
]
SILENT = ["hang", "stall"]
DRIPPING = {"drip": b" ", "drip_chunked": b"1\r\n \r\n", "drip_headers": b"x"}
BODIES = {
    "not_utf8": b'{"success": true, "credits": 7500, "plan": "Gr\xf6\xdfe"}',
    "empty": b"",
    "array": b'[{"success": true, "credits": 7500}]',
    "duplicate_keys": b'{"success": true, "credits": 7500, "credits": 1}',
    "deep_nesting": b'{"success": true, "credits": %s}' % (b"[" * 100_000 + b"]" * 100_000),
    "credits_missing": b'{"success": true}',
    "credits_string": b'{"success": true, "credits": "7500"}',
    "credits_bool": b'{"success": true, "credits": true}',
    "credits_null": b'{"success": true, "credits": null}',
    "credits_list": b'{"success": true, "credits": [7500]}',
    "credits_nan": b'{"success": true, "credits": NaN}',
    "credits_infinity": b'{"success": true, "credits": Infinity}',
    "credits_1e400": b'{"success": true, "credits": 1e400}',
    "credits_too_big": b'{"success": true, "credits": 1000000000001}',
}


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The body as an object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock: Clock) -> Iterator[Simulator]:
    with Simulator(clock=clock) as simulator:
        yield simulator


def connect(simulator: Simulator) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(simulator.host, simulator.port, timeout=10)


def ask(
    connection: http.client.HTTPConnection,
    method: str = "GET",
    path: str = ACCOUNT,
    key: str | None = KEY,
    body: str | None = None,
) -> Reply:
    connection.request(method, path, body, {} if key is None else {"authkey": key})
    response = connection.getresponse()
    return Reply(response.status, response.headers, response.read())


def call(
    simulator: Simulator,
    method: str = "GET",
    path: str = ACCOUNT,
    key: str | None = KEY,
    body: str | None = None,
) -> Reply:
    with closing(connect(simulator)) as connection:
        return ask(connection, method, path, key, body)


def put(simulator: Simulator, wishes: object) -> Reply:
    return call(simulator, "PUT", "/control", None, json.dumps(wishes))


def raw(
    simulator: Simulator, request: str = f"GET {ACCOUNT} HTTP/1.1\r\nauthkey: {KEY}\r\n\r\n"
) -> socket.socket:
    peer = socket.create_connection((simulator.host, simulator.port), timeout=10)
    peer.sendall(request.encode())
    return peer


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("simulator")}


def assert_failure(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.json["error"]) == (status, code)
    assert reply.json.keys() == {"success", "error", "error_message"}
    assert reply.json["success"] is False
    assert reply.json["error_message"]
    assert reply.headers["Content-Type"] == "application/json"


# --- what IMAI documents ---


def test_gives_the_balance(simulator: Simulator) -> None:
    """The account call answers with the documented body, below the base URL."""
    reply = call(simulator, path=urlsplit(simulator.url).path + "/account/info/")
    assert reply.body == b'{"success": true, "credits": 7500}'
    assert reply.status == 200
    assert simulator.url == f"http://127.0.0.1:{simulator.port}/api"


@pytest.mark.parametrize(
    ("balance", "text"),
    [
        ("7499.98", "7499.98"),
        ("7500.00", "7500"),
        ("7499.980", "7499.98"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("0", "0"),
        ("-3.5", "-3.5"),
        ("0.02", "0.02"),
        ("12345678901234567890.123456789012345", "12345678901234567890.123456789012345"),
    ],
)
def test_keeps_every_digit(simulator: Simulator, balance: str, text: str) -> None:
    """A balance is written exactly, and without a point when it is whole."""
    simulator.credits = Decimal(balance)
    assert call(simulator).body.decode() == f'{{"success": true, "credits": {text}}}'


def test_spends_exactly(simulator: Simulator) -> None:
    """Spending subtracts decimals, and may go below zero."""
    for _ in range(3):
        simulator.spend("0.02")
    assert call(simulator).json["credits"] == 7499.94
    simulator.spend(8000)
    assert simulator.credits == Decimal("-500.06")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "not_authenticated"),
        ("", 401, "not_authenticated"),
        ("wrong", 403, "invalid_api_key"),
        (KEY + "x", 403, "invalid_api_key"),
        ("schlüssel", 403, "invalid_api_key"),
    ],
)
def test_refuses_a_missing_or_wrong_key(
    simulator: Simulator, key: str | None, status: int, code: str
) -> None:
    """Without the key there is no balance, whatever the mode."""
    assert_failure(call(simulator, key=key), status, code)
    simulator.mode = "credits_null"
    assert_failure(call(simulator, key=key), status, code)


def test_accepts_the_key_it_was_given() -> None:
    """The accepted key is the constructor's."""
    with Simulator(key="another") as simulator:
        assert call(simulator, key="another").status == 200
        assert_failure(call(simulator, key=KEY), 403, "invalid_api_key")


@pytest.mark.parametrize("path", ["/", "/api", "/api/account/info", "/api//account/info/", "/account/info/"])
def test_knows_no_other_path(simulator: Simulator, path: str) -> None:
    """Any other path, also the one without its slash, is not found and counts as no call."""
    assert_failure(call(simulator, path=path), 404, "not_found")
    assert simulator.calls == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_refuses_other_methods(simulator: Simulator, method: str) -> None:
    """Any method but GET is refused in IMAI's envelope."""
    assert_failure(call(simulator, method, body="{}"), 405, "method_not_allowed")


def test_answers_head_without_a_body(simulator: Simulator) -> None:
    """A refused HEAD gets its headers and nothing after them."""
    with closing(raw(simulator, f"HEAD {ACCOUNT} HTTP/1.1\r\nConnection: close\r\n\r\n")) as peer:
        answer = b"".join(iter(lambda: peer.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")


def test_keeps_the_connection_for_the_next_request(simulator: Simulator) -> None:
    """HTTP/1.1 connections stay open, and the body of a refused request is not taken for the next one."""
    with closing(connect(simulator)) as connection:
        assert ask(connection, "POST", body='{"a": 1}').status == 405
        first = connection.sock
        assert ask(connection).status == 200
        assert connection.sock is first


@pytest.mark.parametrize(
    "header", ["Content-Length: 99999999", "Content-Length: x", "Transfer-Encoding: chunked"]
)
def test_hangs_up_on_a_body_that_it_does_not_read(simulator: Simulator, header: str) -> None:
    """A request body of unknown or excessive size ends the connection after the answer."""
    with closing(raw(simulator, f"POST {ACCOUNT} HTTP/1.1\r\n{header}\r\n\r\n")) as peer:
        answer = b"".join(iter(lambda: peer.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"Connection: close" in answer


def test_answers_a_broken_request_in_the_envelope(simulator: Simulator) -> None:
    """What is no HTTP is a bad request."""
    with closing(raw(simulator, "GET / HTTP/1.1 and more\r\n\r\n")) as peer:
        assert b'"error": "bad_request"' in b"".join(iter(lambda: peer.recv(65_536), b""))


def test_limits_the_rate(simulator: Simulator, clock: Clock) -> None:
    """Ten requests a second pass; the eleventh waits until the first is a second old."""
    for tenth in range(10):
        clock.now = 1000 + tenth / 16
        assert call(simulator).status == 200
    refused = call(simulator)
    assert_failure(refused, 429, "rate_limit_exceeded")
    assert refused.headers["Retry-After"] == "1"
    clock.now = 1001
    assert [call(simulator).status, call(simulator).status] == [200, 429]


def test_limits_the_rate_of_the_key_alone(simulator: Simulator) -> None:
    """Requests with another key take nothing from the key's share."""
    for _ in range(20):
        assert call(simulator, key="wrong").status == 403
    assert call(simulator).status == 200


def test_counts_calls_from_many_threads(clock: Clock) -> None:
    """Every request that reaches the account call is counted, refused ones too."""
    with Simulator(clock=clock, rate_limit=30) as simulator, ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: call(simulator).status, range(50)))
        assert (statuses.count(200), statuses.count(429)) == (30, 20)
        assert simulator.calls == 50


def test_keeps_the_headers_of_the_last_call(simulator: Simulator) -> None:
    """A test can see what its client sent."""
    with closing(connect(simulator)) as connection:
        connection.request("GET", ACCOUNT, headers={"AuthKey": KEY, "Accept": "application/json"})
        assert connection.getresponse().read()
    assert simulator.last_headers["authkey"] == KEY
    assert simulator.last_headers["accept"] == "application/json"


def test_drains_while_time_passes(clock: Clock) -> None:
    """With drain_seconds the balance loses 0.02 each so many seconds, and stops at zero."""
    with Simulator(credits=Decimal("0.05"), drain_seconds=2, clock=clock) as simulator:
        balances = []
        for clock.now in (1001.5, 1002.0, 1003.9, 1004.0, 1010.0):
            balances.append(str(call(simulator).json["credits"]))
    assert balances == ["0.05", "0.03", "0.03", "0.01", "0"]


def test_a_drain_never_fills_a_debt(clock: Clock) -> None:
    """A negative balance stays where it is."""
    simulator = Simulator(credits=Decimal(-1), drain_seconds=1, clock=clock)
    clock.now += 60
    assert simulator.credits == -1


# --- the modes ---


@pytest.mark.parametrize(("status", "code"), DOCUMENTED)
def test_gives_every_documented_error(simulator: Simulator, status: int, code: str) -> None:
    """A mode named after an error code answers with its status and envelope."""
    simulator.mode = code
    assert_failure(call(simulator), status, code)


@pytest.mark.parametrize("code", ["invalid_api_key", "retry_later", "something_new"])
def test_gives_success_false(simulator: Simulator, code: str) -> None:
    """An error may come with status 200, and with any code."""
    simulator.mode, simulator.error_code = "success_false", code
    assert_failure(call(simulator), 200, code)


@pytest.mark.parametrize(
    ("mode", "status"),
    [("http_500", 500), ("http_502", 502), ("http_503", 503), ("http_504", 504), ("not_json", 200)],
)
def test_gives_a_page(simulator: Simulator, mode: str, status: int) -> None:
    """A gateway answers with HTML and without Retry-After."""
    simulator.mode = mode
    reply = call(simulator)
    assert (reply.status, reply.headers["Content-Type"]) == (status, "text/html")
    assert reply.body.startswith(b"<!doctype html>")
    assert "Retry-After" not in reply.headers


@pytest.mark.parametrize("mode", ["http_503", "rate_limit_exceeded"])
@pytest.mark.parametrize("value", [7, 0, "Mon, 23 Nov 2026 07:25:21 GMT", "soon"])
def test_says_when_to_retry(simulator: Simulator, mode: str, value: str | int) -> None:
    """Retry-After is what the test sets it to."""
    simulator.mode, simulator.retry_after = mode, value
    assert call(simulator).headers["Retry-After"] == str(value)


def test_says_two_minutes_by_itself(simulator: Simulator) -> None:
    """The mode rate_limit_exceeded says 120 seconds unless it is told otherwise, and may say nothing."""
    simulator.mode = Mode.RATE_LIMIT_EXCEEDED
    assert call(simulator).headers["Retry-After"] == "120"
    simulator.retry_after = ""
    assert "Retry-After" not in call(simulator).headers


def test_fails_once_when_flaky(simulator: Simulator) -> None:
    """Flaky fails the first request after the mode is set, and no other."""
    simulator.mode = "flaky"
    assert [call(simulator).status for _ in range(3)] == [503, 200, 200]
    simulator.mode = "flaky"
    assert call(simulator).status == 503


@pytest.mark.parametrize(("mode", "status"), [("slow", 200), ("ok", 200), ("http_502", 502)])
def test_answers_after_the_latency(simulator: Simulator, mode: str, status: int) -> None:
    """A latency delays the answer of any mode, and keeps the connection."""
    simulator.mode, simulator.latency_seconds = mode, 0.05
    with closing(connect(simulator)) as connection:
        for _ in range(2):
            begin = time.monotonic()
            assert ask(connection).status == status
            assert time.monotonic() - begin >= 0.05


def test_is_slow_by_itself(simulator: Simulator) -> None:
    """The mode slow delays without a latency, and control still answers."""
    simulator.mode = "slow"
    with closing(raw(simulator)) as peer:
        peer.settimeout(0.05)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        assert call(simulator, path="/control").json["calls"] == 1


@pytest.mark.parametrize(
    ("mode", "head"), [("hang", b""), ("stall", b"HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n")]
)
def test_keeps_silent(simulator: Simulator, mode: str, head: bytes) -> None:
    """Hang answers nothing; stall answers with headers and nothing more."""
    simulator.mode = mode
    with closing(raw(simulator)) as peer:
        assert peer.recv(len(head), socket.MSG_WAITALL) == head
        peer.settimeout(0.05)
        with pytest.raises(TimeoutError):
            peer.recv(1)


@pytest.mark.parametrize(("mode", "drop"), DRIPPING.items())
def test_drips(simulator: Simulator, mode: str, drop: bytes) -> None:
    """Dripping modes send drop after drop, each after drip_seconds."""
    simulator.mode, simulator.drip_seconds = mode, 0.01
    begin = time.monotonic()
    with closing(raw(simulator)) as peer:
        received = b""
        while not received.endswith(drop * 5):
            received += peer.recv(1)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert time.monotonic() - begin >= 0.05


@pytest.mark.parametrize("mode", [*SILENT, *DRIPPING, "slow"])
def test_lets_a_client_leave(simulator: Simulator, mode: str) -> None:
    """A waiting answer ends with its client, while the simulator goes on."""
    before = threads()
    simulator.mode, simulator.drip_seconds = mode, 60
    with closing(raw(simulator)):
        assert eventually(lambda: simulator.calls == 1)
        assert eventually(lambda: len(threads() - before) == 1)
    assert eventually(lambda: threads() <= before)
    simulator.mode = "ok"
    assert call(simulator).status == 200


@pytest.mark.parametrize("mode", [*SILENT, *DRIPPING, "slow"])
def test_closes_at_once_and_leaves_no_thread(mode: str) -> None:
    """Closing ends waiting answers, idle connections and half requests, and every thread."""
    before = threads()
    simulator = Simulator(mode=mode).start()
    simulator.drip_seconds = 60
    with closing(raw(simulator)) as waiting, closing(raw(simulator, "GET /a")), closing(raw(simulator, "")):
        assert eventually(lambda: len(threads() - before) == 4)
        begin = time.monotonic()
        simulator.close()
        assert time.monotonic() - begin < 1
        assert threads() <= before
        while waiting.recv(65_536):
            pass
    simulator.close()


def test_closes_on_a_client_that_does_not_read() -> None:
    """Closing also ends an answer that is stuck in a full socket."""
    before = threads()
    simulator = Simulator(mode="drip_chunked").start()
    simulator.drip_seconds = 0
    with closing(simulator), socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect((simulator.host, simulator.port))
        peer.sendall(f"GET {ACCOUNT} HTTP/1.1\r\nauthkey: {KEY}\r\n\r\n".encode())
        time.sleep(0.2)  # time to fill the socket
        simulator.close()
        assert threads() <= before


def test_says_nothing_when_clients_leave(simulator: Simulator, capfd: pytest.CaptureFixture[str]) -> None:
    """The simulator prints nothing, not even when a client is gone before its answer."""
    simulator.mode = "big_body"
    before = threads()
    with closing(raw(simulator)) as peer:
        assert peer.recv(1)
    assert eventually(lambda: threads() <= before)
    assert capfd.readouterr() == ("", "")


def test_opens_again_on_its_port(simulator: Simulator) -> None:
    """A closed simulator refuses connections, and comes back under the same URL."""
    url = simulator.url
    simulator.close()
    with pytest.raises(ConnectionRefusedError):
        call(simulator)
    simulator.start()
    assert (call(simulator).status, simulator.url) == (200, url)


def test_cuts_the_body_off(simulator: Simulator) -> None:
    """Cut_off promises more than it sends."""
    simulator.mode = "cut_off"
    with pytest.raises(http.client.IncompleteRead):
        call(simulator)


def test_closes_without_an_answer(simulator: Simulator) -> None:
    """Reset closes the connection in the place of an answer."""
    simulator.mode = "reset"
    with pytest.raises(http.client.RemoteDisconnected):
        call(simulator)


@pytest.mark.parametrize(("key", "leaked"), [(KEY, True), ("another", True), (None, False)])
def test_notes_a_key_sent_along_a_redirect(simulator: Simulator, key: str | None, leaked: bool) -> None:  # noqa: FBT001 - a column
    """A redirect points to a path that gives a balance, and remembers whether a key came along."""
    simulator.mode = "redirect"
    reply = call(simulator)
    target = urlsplit(reply.headers["Location"])
    assert (reply.status, target.netloc) == (302, f"127.0.0.1:{simulator.port}")
    assert not simulator.leaked
    assert call(simulator, path=target.path, key=key).json == {"success": True, "credits": 7500}
    assert simulator.leaked is leaked
    assert simulator.calls == 1


@pytest.mark.parametrize(("mode", "body"), BODIES.items(), ids=list(BODIES))
def test_gives_a_body_that_makes_no_sense(simulator: Simulator, mode: str, body: bytes) -> None:
    """These answers have status 200 and are wrong in one way each."""
    simulator.mode = mode
    reply = call(simulator)
    assert reply.body == body
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")


def test_gives_a_big_body(simulator: Simulator) -> None:
    """A body over one MiB comes unannounced, and would make sense."""
    simulator.mode = "big_body"
    reply = call(simulator)
    assert len(reply.body) > 2**20
    assert reply.json == {"success": True, "credits": 7500}
    assert "Content-Length" not in reply.headers


def test_gives_a_gzip_bomb(simulator: Simulator) -> None:
    """A small gzip unpacks to tens of MiB that would make sense."""
    simulator.mode = "gzip_bomb"
    reply = call(simulator)
    unpacked = gzip.decompress(reply.body)
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.body) < 2**16 < 2**25 < len(unpacked)
    assert (unpacked[:34].strip(), unpacked[-1:]) == (b'{"success": true, "credits": 7500', b"}")


def test_every_mode_is_tested() -> None:
    """No mode is missing from the tests above."""
    pages = {"http_500", "http_502", "http_503", "http_504", "not_json"}
    others = {"ok", "success_false", "flaky", "slow", "cut_off", "reset", "redirect", "big_body", "gzip_bomb"}
    codes = {code for _, code in DOCUMENTED}
    assert set(Mode) == codes | pages | others | BODIES.keys() | DRIPPING.keys() | set(SILENT)


# --- control ---


def test_tells_its_state(simulator: Simulator) -> None:
    """GET of the control path gives the state, with the balance as exact text and without the key."""
    call(simulator)
    simulator.spend("0.02")
    assert simulator.control_url == f"http://127.0.0.1:{simulator.port}/control"
    assert call(simulator, path="/control").json == {
        "mode": "ok",
        "credits": "7499.98",
        "latency_seconds": 0,
        "drip_seconds": 1,
        "retry_after": None,
        "error_code": "invalid_api_key",
        "calls": 1,
        "leaked": False,
    }


@pytest.mark.parametrize(
    ("wishes", "changed"),
    [
        ('{"mode": "http_500"}', {"mode": "http_500"}),
        ('{"credits": "7400.5"}', {"credits": "7400.5"}),
        ('{"credits": 7400.10}', {"credits": "7400.1"}),
        ('{"spend": "250"}', {"credits": "7250"}),
        ('{"spend": 0.02}', {"credits": "7499.98"}),
        ('{"spend": 1, "credits": 5}', {"credits": "4"}),
        ('{"latency_seconds": 0.3}', {"latency_seconds": 0.3}),
        ('{"drip_seconds": 0}', {"drip_seconds": 0}),
        ('{"retry_after": 30}', {"retry_after": "30"}),
        ('{"retry_after": null}', {"retry_after": None}),
        ('{"error_code": "retry_later"}', {"error_code": "retry_later"}),
        ("{}", {}),
    ],
)
def test_is_controlled_over_http(simulator: Simulator, wishes: str, changed: dict[str, object]) -> None:
    """PUT changes what it names and answers with the new state."""
    before = simulator.state()
    reply = call(simulator, "PUT", "/control", None, wishes)
    assert (reply.status, reply.json) == (200, before | changed)
    assert simulator.state() == before | changed


@pytest.mark.parametrize(
    "wishes",
    [
        "",
        "spend",
        "[]",
        "null",
        '{"speed": 1}',
        '{"mode": "no such"}',
        '{"mode": ["ok"]}',
        '{"credits": "many"}',
        '{"credits": NaN}',
        '{"credits": true}',
        '{"credits": null}',
        '{"spend": "Infinity"}',
        '{"latency_seconds": -1}',
        '{"latency_seconds": NaN}',
        '{"drip_seconds": "soon"}',
        '{"mode": "hang", "credits": 1, "drip_seconds": 1e9}',
        "[" * 50_000,
    ],
)
def test_refuses_what_it_cannot_do(simulator: Simulator, wishes: str) -> None:
    """A wish that makes no sense is a bad request and changes nothing at all."""
    before = simulator.state()
    assert_failure(call(simulator, "PUT", "/control", None, wishes), 400, "bad_request")
    assert simulator.state() == before


def test_says_which_modes_there_are(simulator: Simulator) -> None:
    """A mistyped mode is answered with the modes, over HTTP and in the process."""
    assert "the modes are: ok, bad_request" in str(put(simulator, {"mode": "okay"}).json["error_message"])
    with pytest.raises(ValueError, match="'okay' is not a mode"):
        simulator.mode = "okay"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_control_takes_get_and_put(simulator: Simulator, method: str) -> None:
    """Control has two methods; a browser's preflight is refused, so no foreign page controls it."""
    assert_failure(call(simulator, method, "/control"), 405, "method_not_allowed")


@pytest.mark.parametrize("over_http", [True, False])
def test_resets(simulator: Simulator, over_http: bool) -> None:  # noqa: FBT001 - a column
    """Reset goes back to the start: mode, balance, counts and the rate limit."""
    start = simulator.state()
    put(simulator, {"mode": "redirect", "spend": 5, "latency_seconds": 0.001, "retry_after": 1})
    for _ in range(11):
        call(simulator)
    call(simulator, path="/elsewhere/")
    assert simulator.leaked
    if over_http:
        put(simulator, {"reset": True})
    else:
        simulator.reset()
    assert simulator.state() == start
    assert call(simulator).status == 200


# --- the process ---


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.1", "example.com", "127.0.0.1.example.com"])  # noqa: S104 - refused
def test_refuses_a_host_that_is_not_loopback(host: str) -> None:
    """The simulator cannot be opened to a network."""
    with pytest.raises(ValueError, match="serves loopback only"):
        Simulator(host)


@pytest.mark.parametrize(("host", "address"), [("localhost", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
def test_accepts_every_loopback_host(host: str, address: str) -> None:
    """Any loopback address will do, and localhost is the usual one."""
    with Simulator(host) as simulator:
        assert simulator.url == f"http://{address}:{simulator.port}/api"
        assert call(simulator).status == 200


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_serves_ipv6_loopback() -> None:
    """An IPv6 address stands in brackets in the URL."""
    with Simulator("::1") as simulator:
        assert simulator.url == f"http://[::1]:{simulator.port}/api"
        assert call(simulator).status == 200


def test_says_that_the_port_is_taken(simulator: Simulator) -> None:
    """A port in use is an OSError, and nothing is left open."""
    with pytest.raises(OSError, match="in use"):
        Simulator(port=simulator.port).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal(number: signal.Signals) -> None:
    """As a process it takes its options, is controlled over HTTP, and ends well on a signal in mid-answer."""
    script = (
        "from integrations.simulator import serve\n"
        "serve(lambda simulator: print(simulator.port, flush=True), port=0, key='k', mode='http_502')"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        remote = Simulator(port=int(process.stdout.readline()))
        assert call(remote, key="k").status == 502
        assert put(remote, {"mode": "hang"}).json["calls"] == 1
        with closing(connect(remote)) as connection:
            connection.request("GET", ACCOUNT, headers={"authkey": "k"})
            assert eventually(lambda: call(remote, path="/control").json["calls"] == 2)
            os.kill(process.pid, number)
            assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0
