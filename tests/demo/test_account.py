"""The answers of the simulated account over a real socket: IMAI's documented ones, its modes, its control."""

import time
from contextlib import closing
from decimal import Decimal

import pytest

from integrations.demo.account import KEY, Mode
from integrations.demo.server import CONTROL_PATH, Simulator
from tests.demo.client import ask, assert_failure, call, connect
from tests.support.clock import Clock

# The table of IMAI's reference, repeated here so that a mistake in the simulator fails a test.
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


@pytest.mark.parametrize(
    ("balance", "text"),
    [
        ("7500.00", "7500"),
        ("1E+3", "1000"),
        ("-3.5", "-3.5"),
        ("1234567890123456789.01", "1234567890123456789.01"),
    ],
)
def test_it_returns_the_exact_balance(simulator: Simulator, balance: str, text: str) -> None:
    """The account call answers with the documented body and every digit of the balance."""
    simulator.credits = Decimal(balance)
    assert simulator.url == f"http://127.0.0.1:{simulator.port}/api"
    reply = call(simulator)
    assert (reply.status, reply.body.decode()) == (200, f'{{"success": true, "credits": {text}}}')


def test_spending_is_exact_and_may_overdraw(simulator: Simulator) -> None:
    """Spending subtracts decimals and may go below zero."""
    for _ in range(3):
        simulator.spend("0.02")
    assert call(simulator).json["credits"] == 7499.94
    simulator.spend(8000)
    assert simulator.credits == Decimal("-500.06")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "not_authenticated"),
        (KEY + "x", 403, "invalid_api_key"),
        ("schlüssel", 403, "invalid_api_key"),
    ],
)
def test_a_missing_or_wrong_key_is_refused_in_every_mode(
    simulator: Simulator, key: str | None, status: int, code: str
) -> None:
    """Without the right key there is neither a balance nor the mode's answer."""
    assert_failure(call(simulator, key=key), status, code)
    simulator.mode = "http_500"
    assert_failure(call(simulator, key=key), status, code)


def test_the_rate_is_limited(simulator: Simulator, clock: Clock) -> None:
    """Ten requests a second pass; the eleventh waits until the first is a second old. Wrong keys do not count."""
    for tenth in range(10):
        clock.now = 1000 + tenth / 16
        assert call(simulator).status == 200
        assert call(simulator, key="wrong").status == 403
    refused = call(simulator)
    assert_failure(refused, 429, "rate_limit_exceeded")
    assert refused.headers["Retry-After"] == "1"
    clock.now = 1001
    assert [call(simulator).status, call(simulator).status] == [200, 429]


def test_credits_drain_while_time_passes(clock: Clock) -> None:
    """With drain_seconds the balance loses 0.02 each time and stops at zero; a debt does not change."""
    simulator = Simulator(drain_seconds=2, clock=clock)
    simulator.credits = "0.05"
    balances = []
    for clock.now in (1001.5, 1002.0, 1003.9, 1004.0, 1010.0):
        balances.append(simulator.balance())
    assert balances == ["0.05", "0.03", "0.03", "0.01", "0"]
    simulator.credits = -1
    clock.now += 60
    assert simulator.credits == -1


@pytest.mark.parametrize(("status", "code"), DOCUMENTED)
def test_a_mode_named_after_an_error_answers_with_it(simulator: Simulator, status: int, code: str) -> None:
    """Status and body are the documented ones."""
    simulator.mode = code
    assert_failure(call(simulator), status, code)


@pytest.mark.parametrize("status", [500, 503])
def test_a_gateways_error_is_html(simulator: Simulator, status: int) -> None:
    """It has no JSON and, by default, no Retry-After."""
    simulator.mode = f"http_{status}"
    reply = call(simulator)
    assert (reply.status, reply.headers["Content-Type"]) == (status, "text/html")
    assert reply.body.startswith(b"<!doctype html>")
    assert "Retry-After" not in reply.headers


def test_retry_after_can_be_set(simulator: Simulator) -> None:
    """The default of the mode rate_limit_exceeded is 120 seconds."""
    simulator.mode = "rate_limit_exceeded"
    assert call(simulator).headers["Retry-After"] == "120"
    simulator.retry_after = 0
    assert call(simulator).headers["Retry-After"] == "0"


def test_flaky_fails_every_third_call(simulator: Simulator) -> None:
    """The other calls get the balance."""
    simulator.mode = "flaky"
    assert [call(simulator).status for _ in range(6)] == [200, 200, 500] * 2


def test_a_latency_delays_every_mode(simulator: Simulator) -> None:
    """The connection stays open for the next request."""
    simulator.latency_seconds = 0.05
    with closing(connect(simulator.port)) as connection:
        for mode, status in (("ok", 200), ("slow", 200), ("http_503", 503)):
            simulator.mode = mode
            began = time.monotonic()
            assert ask(connection).status == status
            assert time.monotonic() - began >= 0.05


def test_every_mode_is_tested() -> None:
    """No mode is missing from the tests above."""
    pages = {f"http_{status}" for status in (500, 503)}
    assert set(Mode) == {code for _, code in DOCUMENTED} | pages | {"ok", "flaky", "slow", "hang"}


def test_the_control_returns_the_state_without_the_key(simulator: Simulator) -> None:
    """The state has the balance as exact text."""
    call(simulator)
    simulator.spend("0.02")
    state = {
        "mode": "ok",
        "credits": "7499.98",
        "latency_seconds": 0,
        "retry_after": None,
        "rate_limit": 10,
        "calls": 1,
    }
    assert call(simulator, path=CONTROL_PATH).json == state


@pytest.mark.parametrize(
    ("document", "changed"),
    [
        ('{"mode": "http_500"}', {"mode": "http_500"}),
        ('{"credits": "7400.5"}', {"credits": "7400.5"}),
        ('{"spend": 0.02}', {"credits": "7499.98"}),
        ('{"spend": 1, "credits": 5}', {"credits": "4"}),
        ('{"latency_seconds": 0.3}', {"latency_seconds": 0.3}),
        ('{"retry_after": 30}', {"retry_after": 30}),
        ('{"rate_limit": 1000}', {"rate_limit": 1000}),
    ],
)
def test_a_put_changes_the_named_fields(
    simulator: Simulator, document: str, changed: dict[str, object]
) -> None:
    """The answer is the new state."""
    before = simulator.state()
    reply = call(simulator, "PUT", CONTROL_PATH, None, document)
    assert (reply.status, reply.json) == (200, before | changed)
    assert simulator.state() == before | changed


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "Invalid JSON"),
        ('{"speed": 1}', "speed: "),
        ('{"mode": "okay"}', "mode: Input should be 'ok', 'bad_request'"),
        ('{"credits": NaN}', "credits: "),
        ('{"spend": "Infinity"}', "spend: "),
        ('{"mode": "hang", "credits": 1, "latency_seconds": 1e9}', "latency_seconds: "),
        ("[" * 50_000, ""),
    ],
)
def test_a_wrong_put_changes_nothing(simulator: Simulator, document: str, message: str) -> None:
    """It is a bad request; its message names the field and the expected value."""
    before = simulator.state()
    reply = call(simulator, "PUT", CONTROL_PATH, None, document)
    assert_failure(reply, 400, "bad_request")
    assert message in str(reply.json["error_message"])
    assert simulator.state() == before


def test_a_reset_restores_the_start(simulator: Simulator) -> None:
    """It restores mode, balance, counts and the rate limit."""
    start = simulator.state()
    call(simulator, "PUT", CONTROL_PATH, None, '{"mode": "http_500", "spend": 5, "retry_after": 1}')
    for _ in range(11):
        call(simulator)
    call(simulator, "PUT", CONTROL_PATH, None, '{"reset": true}')
    assert simulator.state() == start
    assert call(simulator).status == 200
