"""A declared provider: the keys and the account's values in its request, and the terms of the contract."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import time_machine

from integrations.providers.declared.provider import ContractTerms, DeclaredAccount, DeclaredProvider
from integrations.quota.errors import ErrorCode
from integrations.quota.models import FailedQuota, Quota
from integrations.readings import fetch
from integrations.transport.response import Response
from tests.providers.definitions import GOOD, VARIABLE, definition
from tests.providers.hostile import answer, hostile

KEY = "test$key+1/=%&"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def asked(request: str, monkeypatch: pytest.MonkeyPatch, **account: object) -> bytes:
    """The request that a definition makes: its head."""
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setenv("SECOND", "second-key")
    with hostile(answer(200, GOOD)) as server:
        text = f"label: A\nrequest: {request}\nquotas: [{{unit: USD, used: data.used}}]\n"
        fields = {"label": "A", "variables": (VARIABLE,)} | account
        provider = DeclaredProvider(definition(text.replace("URL", server.url)), DeclaredAccount(**fields))  # type: ignore[arg-type]
        assert fetch.fetch_readings(provider)[0].used_quota == Decimal("12.5")
        return server.requests[0]


REQUESTS: dict[str, tuple[str, dict[str, object], list[bytes]]] = {
    "a key in a header with its prefix": (
        '{url: URL/u, key: {header: X-Key, prefix: "Token "}}',
        {},
        [b"GET /u HTTP/1.1", f"X-Key: Token {KEY}\r\n".encode(), b"Accept: application/json\r\n"],
    ),
    "a key in the query, encoded": (
        "{url: 'URL/u?a=1', query: {b: x y}, key: {query: api-key}}",
        {},
        [b"GET /u?a=1&b=x+y&api-key=test%24key%2B1%2F%3D%25%26 HTTP/1.1"],
    ),
    "a key as the password of Basic": (
        '{url: URL/u, key: {basic: "{sid}"}}',
        {"values": {"sid": "AC0123"}},
        [b"Authorization: Basic " + base64.b64encode(f"AC0123:{KEY}".encode())],
    ),
    "a key as the user of Basic": (
        '{url: URL/u, key: {basic: "{key}"}}',
        {},
        [b"Authorization: Basic " + base64.b64encode(f"{KEY}:".encode())],
    ),
    "two secrets, each from its own variable": (
        "{url: URL/u, key: [{header: X-Id, secret: ID}, {query: token, secret: TOKEN}]}",
        {"variables": ("SECOND", VARIABLE)},
        [b"X-Id: second-key", b"?token=test%24key"],
    ),
    "values that stay in their place of the path": (
        "{url: 'URL/{a}/u?q={b}'}",
        {"variables": (), "values": {"a": "x/../y", "b": "1&2"}},
        [b"GET /x%2F..%2Fy/u?q=1%262 HTTP/1.1"],
    ),
    "a POST with its body and headers": (
        "{url: URL/u, method: POST, headers: {X-A: b c, Accept: text/json}, json: {a: [1, true, null]}}",
        {"variables": ()},
        [
            *(b"POST /u HTTP/1.1", b"X-A: b c\r\n", b"Accept: text/json\r\n"),
            *(b"Content-Type: application/json\r\n", b"Content-Length: 22\r\n"),
        ],
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_the_definitions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address, its headers and the account's keys and values, each encoded in its place."""
    request, account, expected = REQUESTS[name]
    head = asked(request, monkeypatch, **account)
    assert [part for part in expected if part not in head] == []


def test_a_service_may_need_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is sent."""
    assert KEY.encode() not in asked("{url: URL/u}", monkeypatch, variables=())


MONTH = """{url: "URL/{year}/{month}", method: POST, query: {from: "{month_start:unix}", org: "{org}"},
  headers: {X-Since: "{month_start:iso} {org}"}, json: {a: [{since: "{month_start:date}", org: "{org}"}, 7]}}"""


def test_the_month_and_the_accounts_values_fill_address_query_headers_and_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The month is that of UTC, at each request."""
    with time_machine.travel("2027-01-01T00:30:00+02:00", tick=True):
        head = asked(MONTH, monkeypatch, variables=(), values={"org": "a b"})
    assert b"POST /2026/12?from=1796083200&org=a+b HTTP/1.1" in head
    assert b"X-Since: 2026-12-01T00:00:00Z a b\r\n" in head
    account = DeclaredAccount("A", (), values={"org": "a b"})
    text = f"label: A\nrequest: {MONTH.replace('URL', 'https://a.example')}\nquotas: [{{unit: x, used: u}}]\n"
    body = DeclaredProvider(definition(text), account).request(now=NOW).body
    assert json.loads(body or b"") == {"a": [{"since": "2026-11-01", "org": "a b"}, 7]}


def test_a_renewal_that_cannot_be_read_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the account and the place, not the value; another problem is logged again."""
    text = """
label: Acme
request: {url: https://a.example/}
quotas: [{unit: x, used: u, renews_at: {path: at, format: date}}]
"""
    provider = DeclaredProvider(definition(text), DeclaredAccount("Acme B", ()))
    for body in ('{"u": 1, "at": "soon-ish"}', '{"u": 2, "at": "later"}', '{"u": 3}'):
        (quota,) = provider.quotas_in(Response(200, {}, body.encode()), now=NOW)
        assert isinstance(quota, Quota)
        assert quota.renews_at is None
    assert [record.getMessage() for record in caplog.records] == [
        "Acme B: renewal unknown: quota: renews_at: not of the format date",
        "Acme B: renewal unknown: quota: renews_at: nothing is there",
    ]


def test_a_missing_secret_of_two_is_not_configured_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The card names both variables, the log the one that is missing."""
    monkeypatch.setenv("SECOND", "second-key")
    text = """
label: A
request: {url: "http://127.0.0.1:9/", key: [{header: a, secret: A}, {header: b, secret: B}]}
quotas: [{unit: x, used: u}]
"""
    provider = DeclaredProvider(definition(text), DeclaredAccount("A", ("SECOND", "MISSING")))
    outcome = fetch.fetch(provider)
    assert outcome.failure is not None
    assert outcome.failure.code is ErrorCode.NOT_CONFIGURED
    (reading,) = fetch.visible_readings(provider, outcome)
    assert reading.error is not None
    assert (
        reading.error.message == "A not configured. Please add SECOND and MISSING to environment variables."
    )
    assert provider.configured == {"SECOND": True, "MISSING": False}


TERMS = ContractTerms(total=Decimal(100), renewal_day=31)


def test_terms_fill_in_unstated_values() -> None:
    """The total and the next renewal; stated ones stay, and an unlimited plan gets no total."""
    filled = TERMS.fill(Quota(remaining=Decimal(5)), now=NOW)
    assert (filled.total, filled.renews_at) == (Decimal(100), datetime(2026, 11, 30, tzinfo=UTC))

    stated = Quota(remaining=Decimal(5), total=Decimal(7), renews_at=NOW)
    assert TERMS.fill(stated, now=NOW) == stated
    assert TERMS.fill(Quota(unlimited=True), now=NOW).total is None


def test_an_accounts_terms_are_those_of_the_named_quota() -> None:
    """Another quota has none, and one that cannot be read keeps its place."""
    text = """
label: A
request: {url: https://a.example/}
quotas: [{name: Zero, unit: x, used: z}, {name: One, unit: x, remaining: a}, {name: Two, unit: x, remaining: b}]
"""
    provider = DeclaredProvider(definition(text), DeclaredAccount("A", (), terms={"One": TERMS}))
    failed, one, two = provider.quotas_in(Response(200, {}, b'{"a": 1, "b": 2}'), now=NOW)
    assert isinstance(failed, FailedQuota)
    assert isinstance(one, Quota)
    assert isinstance(two, Quota)
    assert (one.total, two.total, two.renews_at) == (Decimal(100), None, None)
    assert one.starts_at == datetime(2026, 10, 31, tzinfo=UTC)
    assert one.renews_at == datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("quotas", "count"),
    [
        ("[{unit: x, remaining: a}]", 1),
        ("[{name: One, unit: x, used: a}, {name: Two, unit: x, used: b}]", 2),
        ("[{name: One, unit: x, used: a}, {name: Two, unit: x, used: b, optional: true}]", 1),
        ("[{unit: x, used: a, optional: true}]", 1),
        ("[{each: l, name: {path: n}, unit: x, used: a}]", 1),
        ("[{name: One, unit: x, used: a}, {name: Two, unit: x, used: b, at_zero: hidden}]", 1),
    ],
)
def test_quotas_that_are_sure_to_come_are_known_before_any_answer(quotas: str, count: int) -> None:
    """An optional one does not count, but there is at least one card, as for a failure."""
    text = f"label: A\nrequest: {{url: 'https://x.example/'}}\nquotas: {quotas}\n"
    assert DeclaredProvider(definition(text), DeclaredAccount("A", ())).quota_count == count


@pytest.mark.parametrize(
    ("quotas", "hint"),
    [
        ("[{unit: x, remaining: a}]", "its total in the providers' file"),
        ("[{unit: x, remaining: a, total: b}]", None),
        ("[{unit: x, remaining: a, used: b}]", None),
        ("[{unit: x, used: a}]", "its total in the providers' file"),
        ("[{unit: x, used: a, total: {path: b, optional: true}}]", "its total in the providers' file"),
    ],
)
def test_the_operator_may_state_a_total_that_no_answer_has(quotas: str, hint: str | None) -> None:
    """Used and remaining state it together."""
    text = f"label: A\nrequest: {{url: https://a.example/}}\nquotas: {quotas}\n"
    assert DeclaredProvider(definition(text), DeclaredAccount("A", ())).total_hint == hint
