"""Quotas of an answer: each on its own, and nothing that is not in the answer."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from integrations.providers.declared import reading
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import FailedQuota, Quota
from tests.providers.declared.answers import of, response

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def read(quotas: str, body: str, reported: list[str] | None = None) -> tuple[Quota | FailedQuota, ...]:
    """Return the quotas of an answer."""
    found: list[str] = [] if reported is None else reported
    return reading.quotas(of(quotas), response(body), now=NOW, report=found.append)


def refused(quotas: str, body: str) -> str:
    """The log's word for an answer that does not fit."""
    with pytest.raises(ProviderError) as caught:
        read(quotas, body)
    assert caught.value.code is ErrorCode.INVALID_RESPONSE
    return str(caught.value.args[0])


def test_no_limit_at_the_total_goes_before_what_is_left() -> None:
    """Whatever is there; what is used stays known."""
    total = "{path: t, unlimited: [null]}"
    for left in ("5", "0", "null", '"x"'):
        body = f'{{"r": {left}, "t": null}}'
        assert read(f"[{{unit: x, remaining: r, total: {total}}}]", body) == (
            Quota(unit="x", unlimited=True),
        )
    assert read(f"[{{unit: x, used: u, total: {total}}}]", '{"u": 5, "t": null}') == (
        Quota(unit="x", used=Decimal(5), unlimited=True),
    )
    left = "{path: r, unlimited: [null]}"
    assert read(f"[{{unit: x, remaining: {left}, total: t}}]", '{"r": null, "t": 9}') == (
        Quota(unit="x", unlimited=True),
    )


def test_an_optional_quota_that_is_not_there_has_no_card() -> None:
    """But a word in its place is an error, and so is an answer without any quota."""
    two = (
        "[{name: A, unit: x, remaining: a, optional: true}, {name: B, unit: x, remaining: b, optional: true}]"
    )
    assert [quota.name for quota in read(two, '{"a": 1, "b": null}')] == ["A"]
    assert [quota.name for quota in read(two, '{"b": 2}')] == ["B"]
    failed, good = read(two, '{"a": "x", "b": 2}')
    assert isinstance(failed, FailedQuota)
    assert isinstance(good, Quota)
    assert failed.error.args[0].startswith("A: ")
    assert refused(two, "{}") == "none of the quotas is there"


def test_a_unit_may_stand_in_the_answer() -> None:
    """A currency's code in capitals; no number, no nothing, no line of text."""
    told = "[{unit: {path: c}, remaining: r}]"
    assert read(told, '{"c": "usd", "r": 1}')[0].unit == "USD"
    assert read(told, '{"c": "minutes", "r": 1}')[0].unit == "minutes"
    for wrong in ("7", '""', '"a\\nb"', '"' + "x" * 21 + '"', "null", "[]"):
        assert "unit" in refused(told, f'{{"c": {wrong}, "r": 1}}')


def test_what_no_account_can_hold_is_unreadable() -> None:
    """A negative total; the log names the quota."""
    assert refused("[{name: Q, unit: x, used: u, total: t}]", '{"u": 1, "t": -5}').startswith("Q: ")


def test_two_elements_that_fit_are_unreadable() -> None:
    """Neither is chosen."""
    assert "fits 2 elements" in refused(
        '[{unit: x, remaining: "p[t=a].r"}]', '{"p": [{"t": "a"}, {"t": "a"}]}'
    )
