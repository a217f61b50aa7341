"""Answers of real services that a definition must be able to describe, and their quotas."""

from datetime import UTC, datetime

import pytest

from integrations.accounts.samples import Expected
from integrations.providers.declared.provider import DeclaredAccount, DeclaredProvider
from integrations.quota.errors import ErrorCode
from tests.providers.declared.answers import response
from tests.providers.definitions import definition

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)

OPENAI = """
label: OpenAI
request:
  url: https://api.openai.com/v1/organization/costs
  query: {start_time: "{month_start:unix}", limit: "31"}
errors:
  - {path: has_more, equals: true, code: invalid_response}
quotas:
  - {unit: USD, used: {sum: ["data[*].results[*].amount.value"], empty: 0}}
"""
ANTHROPIC = """
label: Anthropic
request:
  url: https://api.anthropic.com/v1/organizations/cost_report
  query: {starting_at: "{month_start:iso}", limit: "31"}
  headers: {anthropic-version: "2023-06-01"}
errors:
  - {path: has_more, equals: true, code: invalid_response}
quotas:
  - {unit: USD, used: {sum: ["data[*].results[*].amount"], text: true, scale: "0.01", empty: 0}}
"""
GITHUB = """
label: GitHub billing
request:
  url: https://api.github.com/organizations/{org}/settings/billing/usage?year={year}&month={month}
quotas:
  - {unit: USD, used: {sum: ["usageItems[*].netAmount"], empty: 0}, renews_at: {format: next_month}}
"""


def provider(text: str) -> DeclaredProvider:
    """Return a provider of this definition, without a key."""
    return DeclaredProvider(definition(text), DeclaredAccount("A", (), values={"org": "acme"}))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (OPENAI, "https://api.openai.com/v1/organization/costs?start_time=1793491200&limit=31"),
        (
            ANTHROPIC,
            "https://api.anthropic.com/v1/organizations/cost_report?starting_at=2026-11-01T00%3A00%3A00Z&limit=31",
        ),
        (GITHUB, "https://api.github.com/organizations/acme/settings/billing/usage?year=2026&month=11"),
    ],
)
def test_the_cost_of_a_month_is_asked_for_since_its_start(text: str, url: str) -> None:
    """The month of the request, in UTC."""
    assert provider(text).request(now=NOW).url == url


def test_a_further_page_is_a_failure_and_no_smaller_sum() -> None:
    """By the definition's own rule."""
    failure = provider(OPENAI).failure_in(response('{"data": [], "has_more": true, "next_page": "x"}'))
    assert failure is not None
    assert failure.code is ErrorCode.INVALID_RESPONSE


ELEVENLABS = "[{unit: c, used: u, total: {sum: [l, e], unlimited: [unlimited]}}]"
DEEPGRAM = "[{each: balances, name: {path: balance_id}, unit: {path: units}, remaining: amount}]"
DEEPSEEK = (
    "[{each: infos, name: {path: currency}, unit: {path: currency}, "
    "remaining: {path: total, text: true}, at_zero: hidden}]"
)
BREVO = (
    "[{each: plan, name: {path: type}, unit: credits, remaining: credits, at_zero: absent, "
    "renews_at: {path: endDate, format: epoch, text: true, optional: true}}]"
)
SERPAPI = (
    "[{unit: searches, remaining: left, total: {path: month, optional: true}, "
    "renews_at: {first: [renewal, next_renewal], format: date}}]"
)
XAI = (
    '[{unit: USD, total: {path: bought, text: true, scale: "-0.01"}, '
    'used: {path: used, text: true, scale: "-0.01", absent: 0}}]'
)
BRAVE = (
    "[{unit: queries, total: {header: X-Limit, item: 2, unlimited: [0]}, "
    "remaining: {header: X-Left, item: 2}}]"
)
QUOTAS = [
    (
        "costs of a month",
        OPENAI[OPENAI.index("  - {unit") :],
        '{"data": [{"results": [{"amount": {"value": 0.06, "currency": "usd"}}]}, {"results": []}]}',
        ["unit: USD, used: 0.06"],
    ),
    (
        "costs in cents, as texts",
        ANTHROPIC[ANTHROPIC.index("  - {unit") :],
        '{"data": [{"results": [{"amount": "123.45"}, {"amount": "0.5"}]}], "has_more": false}',
        ["unit: USD, used: 1.2395"],
    ),
    (
        "no costs",
        GITHUB[GITHUB.index("  - {unit") :],
        '{"usageItems": []}',
        ["unit: USD, used: 0, renews_at: 2026-12-01T00:00:00+00:00"],
    ),
    ("a limit with an extension", ELEVENLABS, '{"u": 5, "l": 2, "e": 4}', ["unit: c, used: 5, total: 6"]),
    (
        "an unlimited extension",
        ELEVENLABS,
        '{"u": 5, "l": 2, "e": "unlimited"}',
        ["unit: c, used: 5, unlimited: true"],
    ),
    (
        "several balances",
        DEEPGRAM,
        '{"balances": [{"balance_id": "1a", "amount": 0, "units": "usd"}, BALANCE]}'.replace(
            "BALANCE", '{"balance_id": "2b", "amount": 4000.50, "units": "hour"}'
        ),
        ["name: 1a, unit: USD, remaining: 0", "name: 2b, unit: hour, remaining: 4000.5"],
    ),
    (
        "a second currency",
        DEEPSEEK,
        '{"infos": [{"currency": "USD", "total": "0.00"}, {"currency": "CNY", "total": "110.00"}]}',
        ["name: CNY, unit: CNY, remaining: 110"],
    ),
    (
        "no currency with anything",
        DEEPSEEK,
        '{"infos": [{"currency": "USD", "total": "0.00"}, {"currency": "CNY", "total": "0.00"}]}',
        ["name: USD, unit: USD, remaining: 0", "name: CNY, unit: CNY, remaining: 0"],
    ),
    (
        "a free plan with a pool that it does not have",
        BREVO,
        '{"plan": [{"type": "free", "credits": 300, "endDate": "1780272000"}, {"type": "sms", "credits": 0}]}',
        ["name: free, unit: credits, remaining: 300, renews_at: 2026-06-01T00:00:00+00:00"],
    ),
    (
        "no monthly plan",
        SERPAPI,
        '{"left": 1234, "month": null, "renewal": null}',
        ["unit: searches, remaining: 1234"],
    ),
    (
        "another name of the renewal",
        SERPAPI,
        '{"left": 1, "month": 5, "renewal": null, "next_renewal": "2026-12-17"}',
        ["unit: searches, remaining: 1, total: 5, renews_at: 2026-12-17T00:00:00+00:00"],
    ),
    ("a zero that is left out", XAI, '{"bought": "-16847"}', ["unit: USD, used: 0, total: 168.47"]),
]


@pytest.mark.parametrize(
    ("quotas", "body", "lines"), [case[1:] for case in QUOTAS], ids=[c[0] for c in QUOTAS]
)
def test_an_answer_is_read_as_its_service_means_it(quotas: str, body: str, lines: list[str]) -> None:
    """Exactly, and without a figure that it does not state."""
    text = f"label: A\nrequest: {{url: https://a.example/}}\nquotas:\n{quotas if '  - ' in quotas else '  ' + quotas}"
    read = provider(text).quotas_in(response(body), now=NOW)
    assert [str(Expected.of(quota)) for quota in read] == lines


@pytest.mark.parametrize(
    ("limit", "left", "line"),
    [
        ("50, 0", "49, 0", "unit: queries, unlimited: true"),
        ("1, 15000", "0, 0", "unit: queries, remaining: 0, total: 15000"),
    ],
)
def test_no_monthly_cap_is_not_a_spent_one(limit: str, left: str, line: str) -> None:
    """The total decides."""
    text = f"label: A\nrequest: {{url: https://a.example/}}\nquotas: {BRAVE}\n"
    (quota,) = provider(text).quotas_in(response("", X_Limit=limit, X_Left=left), now=NOW)
    assert str(Expected.of(quota)) == line
