"""Reading answers by a definition: exact figures, and nothing that is not there."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.declared import reading
from integrations.providers.declared.definition import Definition, FigureRule, RenewalRule
from integrations.providers.declared.reading import MisfitError, Nothing
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import Quota
from integrations.transport.response import Response
from tests.providers.definitions import definition

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def response(body: str, status: int = 200, **headers: str) -> Response:
    """An answer."""
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body.encode())


def rule(**fields: object) -> FigureRule:
    """A figure's rule."""
    return FigureRule.model_validate(fields)


FIGURES = [
    ({"path": "a"}, '{"a": 0}', "0"),
    ({"path": "a"}, '{"a": 0.10}', "0.10"),
    ({"path": "a"}, '{"a": 0.6336833840314097}', "0.6336833840314097"),
    ({"path": "a"}, '{"a": -7.5}', "-7.5"),
    ({"path": "a"}, '{"a": 1000000000000}', "1000000000000"),
    ({"path": "a", "text": True}, '{"a": "12.29"}', "12.29"),
    ({"path": "a", "text": True}, '{"a": "-5.00"}', "-5.00"),
    ({"path": "a", "text": True}, '{"a": 5}', "5"),
    ({"path": "a", "text": True, "scale": "-0.01"}, '{"a": "-1000"}', "10.00"),
    ({"sum": ["a", "b"]}, '{"a": 0.1, "b": 0.2}', "0.3"),
    ({"sum": ["a", "b"]}, '{"a": 999999999999.5, "b": 1e-30}', "999999999999.500000000000000000000000000001"),
    ({"header": "X-Left"}, "", "5"),
    ({"header": "X-List", "item": 2}, "", "1000.5"),
]


@pytest.mark.parametrize(("fields", "body", "figure"), FIGURES, ids=str)
def test_a_figure_is_exact(fields: dict[str, object], body: str, figure: str) -> None:
    """Digit for digit, from the wire."""
    found = reading.figure(rule(**fields), response(body, X_Left=" 5 ", X_List="1, 1000.5"))
    assert str(found) == figure


NOTHING = [
    ({"path": "b"}, '{"a": 1}', Nothing.ABSENT),
    ({"path": "a"}, '{"a": null}', Nothing.NULL),
    ({"path": "a", "text": True}, '{"a": null}', Nothing.NULL),
    ({"path": "a", "unlimited": [None]}, '{"a": null}', Nothing.UNLIMITED),
    ({"path": "a", "unlimited": [None]}, "{}", Nothing.ABSENT),
    ({"path": "a", "unlimited": [-1]}, '{"a": -1}', Nothing.UNLIMITED),
    ({"path": "a", "unlimited": [10**12]}, '{"a": 1000000000000.0}', Nothing.UNLIMITED),
    ({"path": "a", "unlimited": [-1], "text": True, "scale": "0.5"}, '{"a": "-1"}', Nothing.UNLIMITED),
    ({"path": "a", "unlimited": ["none"]}, '{"a": "none"}', Nothing.UNLIMITED),
    ({"sum": ["a", "b"]}, '{"a": 1}', Nothing.ABSENT),
    ({"sum": ["a", "b"]}, '{"a": 1, "b": null}', Nothing.NULL),
    ({"header": "X-None"}, "", Nothing.ABSENT),
    ({"header": "X-List", "item": 3}, "", Nothing.ABSENT),
]


@pytest.mark.parametrize(("fields", "body", "nothing"), NOTHING, ids=str)
def test_nothing_is_told_apart(fields: dict[str, object], body: str, nothing: Nothing) -> None:
    """Absent, null and unlimited are three things, and none of them is 0."""
    assert reading.figure(rule(**fields), response(body, X_List="1, 2")) is nothing


MISFITS = [
    ({"path": "a"}, '{"a": "12"}'),
    ({"path": "a"}, '{"a": true}'),
    ({"path": "a"}, '{"a": [1]}'),
    ({"path": "a"}, '{"a": 1000000000001}'),
    ({"path": "a"}, '{"a": 1e-400}'),
    ({"path": "a", "text": True}, '{"a": "1000000000001"}'),
    ({"path": "a", "text": True}, '{"a": "' + "0." + "0" * 41 + '1"}'),
    ({"path": "a", "text": True}, '{"a": "1e3"}'),
    ({"path": "a", "text": True}, '{"a": " 1"}'),
    ({"path": "a", "text": True}, '{"a": "+1"}'),
    ({"path": "a", "text": True}, '{"a": "NaN"}'),
    ({"path": "a", "text": True}, '{"a": "١٢"}'),
    ({"path": "a", "text": True}, '{"a": ""}'),
    ({"path": "a", "text": True}, '{"a": true}'),
    ({"path": "a", "scale": "1000"}, '{"a": 1000000000000}'),
    ({"sum": ["a", "a"]}, '{"a": 1000000000000}'),
    ({"path": "a", "unlimited": [1]}, '{"a": true}'),
    ({"header": "X-Left"}, ""),
]


@pytest.mark.parametrize(("fields", "body"), MISFITS, ids=str)
def test_what_is_no_such_number_is_a_misfit(fields: dict[str, object], body: str) -> None:
    """Whose text tells the kind, and not the value."""
    with pytest.raises(MisfitError) as caught:
        reading.figure(rule(**fields), response(body, X_Left="five"))
    assert "five" not in str(caught.value)
    assert "12" not in str(caught.value)


@given(st.decimals(-(10**12), 10**12, places=6), st.decimals(-(10**12), 10**12, places=6))
def test_a_sum_of_texts_is_exact(first: Decimal, second: Decimal) -> None:
    """Of any two amounts whose sum is one."""
    body = f'{{"a": "{first:f}", "b": "{second:f}"}}'
    both = rule(sum=["a", "b"], text=True)
    if abs(first + second) <= 10**12:
        assert reading.figure(both, response(body)) == first + second
    else:
        with pytest.raises(MisfitError):
            reading.figure(both, response(body))


MOMENTS = [
    ("iso", '"2026-12-01T10:00:00Z"', "2026-12-01T10:00:00+00:00"),
    ("iso", '"2026-12-01T10:00:00+02:00"', "2026-12-01T08:00:00+00:00"),
    ("iso", '"9999-12-31T23:59:59Z"', "9999-12-31T23:59:59+00:00"),
    ("iso", '"2026-09-01T04:57:13.580067"', "2026-09-01T04:57:13.580067+00:00"),
    ("date", '"2026-12-01"', "2026-12-01T00:00:00+00:00"),
    ("epoch", "1780272000", "2026-06-01T00:00:00+00:00"),
    ("epoch_ms", "1780272000500", "2026-06-01T00:00:00.500000+00:00"),
    ("seconds", "90", "2026-11-24T12:01:30+00:00"),
    ("hh:mm:ss", '"26:00:05"', "2026-11-25T14:00:05+00:00"),
]


@pytest.mark.parametrize(("form", "value", "moment"), MOMENTS)
def test_a_moment_is_read_by_its_format(form: str, value: str, moment: str) -> None:
    """In UTC, where it names no zone."""
    found = RenewalRule.model_validate({"path": "at", "format": form})
    read = reading.renewal(found, response(f'{{"at": {value}}}'), now=NOW)
    assert read is not None
    assert read.isoformat() == moment


def test_a_moment_may_stand_in_a_header() -> None:
    """As one of a list."""
    found = RenewalRule.model_validate({"header": "X-Reset", "item": 2, "format": "seconds"})
    read = reading.renewal(found, response("", X_Reset="1, 60"), now=NOW)
    assert read == datetime(2026, 11, 24, 12, 1, tzinfo=UTC)


WRONG_MOMENTS = [
    ("iso", '"soon"'),
    ("iso", '"9999-12-31T23:59:59-05:00"'),
    ("iso", '"0001-01-01T00:00:00+05:00"'),
    ("iso", '"0001-01-01T00:00:00Z"'),
    ("iso", '"2000-01-01T00:00:00+00:01"'),
    ("iso", "1780272000"),
    ("date", '"2026-13-01"'),
    ("epoch", '"1780272000"'),
    ("epoch", "true"),
    ("epoch", "0"),
    ("epoch", "1780272000000"),
    ("epoch_ms", "1e30"),
    ("seconds", "-1"),
    ("seconds", "1e12"),
    ("hh:mm:ss", '"7:61:00"'),
    ("hh:mm:ss", "7"),
    ("iso", "null"),
]


@pytest.mark.parametrize(("form", "value"), WRONG_MOMENTS)
def test_what_is_no_such_moment_is_a_misfit(form: str, value: str) -> None:
    """A zero is not a renewal in 1970, and milliseconds are not taken for seconds."""
    found = RenewalRule.model_validate({"path": "at", "format": form})
    with pytest.raises(MisfitError):
        reading.renewal(found, response(f'{{"at": {value}}}'), now=NOW)


def test_a_moment_that_may_be_missing_is_unknown() -> None:
    """Absent or null; but not of another type."""
    found = RenewalRule.model_validate({"path": "at", "format": "date", "optional": True})
    assert reading.renewal(found, response("{}"), now=NOW) is None
    assert reading.renewal(found, response('{"at": null}'), now=NOW) is None
    with pytest.raises(MisfitError):
        reading.renewal(found, response('{"at": 5}'), now=NOW)


def of(quotas: str, errors: str = " []") -> Definition:
    """A definition with these quotas and error rules."""
    return definition(f"label: A\nrequest: {{url: https://a.example/}}\nerrors:{errors}\nquotas: {quotas}\n")


def read(quotas: str, body: str) -> tuple[Quota, ...]:
    """What an answer gives by these quotas."""
    return reading.quotas(of(quotas), response(body), now=NOW)


def refused(quotas: str, body: str) -> str:
    """The log's word for an answer that does not fit."""
    with pytest.raises(ProviderError) as caught:
        read(quotas, body)
    assert caught.value.code is ErrorCode.INVALID_RESPONSE
    return str(caught.value.args[0])


def test_an_unlimited_total_leaves_what_is_known() -> None:
    """With a remainder there is just no total; without one the quota is unlimited; so it is by its remainder."""
    total = "{path: t, unlimited: [null]}"
    assert read(f"[{{unit: x, remaining: r, total: {total}}}]", '{"r": 5, "t": null}') == (
        Quota(unit="x", remaining=Decimal(5)),
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
    assert refused(two, '{"a": "x", "b": 2}').startswith("A: ")
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


RULES = """
  - {status: 418, code: subscription_inactive}
  - {path: ok, equals: false, code: provider_unavailable}
  - {status: 403, path: error.code, equals: 4, code: authentication_failed}
  - {path: error.type, codes: {expired: subscription_inactive, limit: rate_limited}}
  - {path: n, equals: null, code: timeout}
"""
FAILURES = [
    (418, "no JSON", ErrorCode.SUBSCRIPTION_INACTIVE),
    (200, '{"ok": false}', ErrorCode.PROVIDER_UNAVAILABLE),
    (200, '{"ok": false, "error": {"type": "limit"}}', ErrorCode.PROVIDER_UNAVAILABLE),
    (200, '{"ok": 0}', None),
    (200, '{"ok": "false"}', None),
    (200, '{"ok": null}', None),
    (403, '{"error": {"code": 4}}', ErrorCode.AUTHENTICATION_FAILED),
    (403, '{"error": {"code": 4.0}}', ErrorCode.AUTHENTICATION_FAILED),
    (403, '{"error": {"code": "4"}}', None),
    (200, '{"error": {"code": 4}}', None),
    (200, '{"error": {"type": "expired"}}', ErrorCode.SUBSCRIPTION_INACTIVE),
    (200, '{"error": {"type": "other"}}', None),
    (200, '{"error": {"type": ["expired"]}}', None),
    (200, '{"n": null}', ErrorCode.TIMEOUT),
    (200, "{}", None),
    (200, "[]", None),
    (500, "<html>", None),
]


@pytest.mark.parametrize(("status", "body", "code"), FAILURES, ids=str)
def test_the_first_rule_that_fits_tells_the_failure(status: int, body: str, code: ErrorCode | None) -> None:
    """By type and value; what fits none is told by its status, or is no failure."""
    failure = reading.failure_in(of("[{unit: x, used: u}]", RULES), response(body, status))
    assert (failure.code if failure else None) is code
