"""Quotas of an answer: each on its own, and nothing that is not in the answer."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.declared import reading
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import FailedQuota, Quota
from integrations.transport.client import MAX_BODY_BYTES
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


UNLIMITED = "{path: t, unlimited: [null]}"


@pytest.mark.parametrize(
    ("quota", "body"),
    [(f"remaining: r, total: {UNLIMITED}", f'{{"r": {left}, "t": null}}') for left in ("5", "null", '"x"')]
    + [("remaining: {path: r, unlimited: [null]}, total: t", '{"r": null, "t": 9}')],
)
def test_without_a_limit_there_is_no_remaining_amount(quota: str, body: str) -> None:
    """Any value in its place is ignored."""
    assert read(f"[{{unit: x, {quota}}}]", body) == (Quota(unit="x", unlimited=True),)


def test_without_a_limit_the_used_amount_stays_known() -> None:
    """It is read as usual."""
    assert read(f"[{{unit: x, used: u, total: {UNLIMITED}}}]", '{"u": 5, "t": null}') == (
        Quota(unit="x", used=Decimal(5), unlimited=True),
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


def test_the_answer_may_state_the_unit() -> None:
    """A currency's code is shown in capitals; another type, an empty or a long text is refused."""
    quotas = "[{unit: {path: c}, remaining: r}]"
    assert read(quotas, '{"c": "usd", "r": 1}')[0].unit == "USD"
    assert read(quotas, '{"c": "minutes", "r": 1}')[0].unit == "minutes"
    for wrong in ("7", '""', '"a\\nb"', '"' + "x" * 21 + '"', "null", "[]"):
        assert "unit" in refused(quotas, f'{{"c": {wrong}, "r": 1}}')


def test_what_no_account_can_hold_is_unreadable() -> None:
    """A negative total; the log names the quota."""
    assert refused("[{name: Q, unit: x, used: u, total: t}]", '{"u": 1, "t": -5}').startswith("Q: ")


def named(quotas: str, body: str) -> dict[str | None, str]:
    """Return what is read for each name: the remaining amount, "no limit", or the failure's sentence in the log."""
    read_there: dict[str | None, str] = {}
    for quota in read(quotas, body):
        if isinstance(quota, FailedQuota):
            read_there[quota.name] = str(quota.error.args[0])
        else:
            read_there[quota.name] = "no limit" if quota.unlimited else f"{quota.remaining}"
    return read_there


TWO = "[{name: A, unit: x, remaining: a}, {name: B, unit: y, remaining: b}]"


def test_a_quota_that_cannot_be_read_fails_alone() -> None:
    """Its failure has its name and its unit."""
    failed, good = read(TWO, '{"b": 2}')
    assert good == Quota(name="B", unit="y", remaining=Decimal(2))
    assert isinstance(failed, FailedQuota)
    assert (failed.name, failed.unit) == ("A", "x")
    assert failed.error.code is ErrorCode.INVALID_RESPONSE
    assert failed.error.args[0] == "A: remaining: nothing is there"


def test_if_all_fail_the_first_failure_is_that_of_the_answer() -> None:
    """This is the failure of the account."""
    assert refused(TWO, "{}") == "A: remaining: nothing is there"
    assert refused(TWO, "<html>").startswith("not the JSON")


def test_headers_are_read_although_the_body_is_no_json() -> None:
    """The quota of the body fails alone."""
    definition = of("[{name: A, unit: x, remaining: {header: X-Left}}, {name: B, unit: x, remaining: b}]")
    good, failed = reading.quotas(definition, response("<html>", X_Left="5"), now=NOW, report=print)
    assert good == Quota(name="A", unit="x", remaining=Decimal(5))
    assert isinstance(failed, FailedQuota)


RENEWED = "[{unit: x, remaining: r, renews_at: {path: at, format: epoch}}]"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("null", "quota: renews_at: null is there"),
        ('"1780272000"', "quota: renews_at: not of the format epoch"),
        ("0", "quota: renews_at: long past"),
        ("true", "quota: renews_at: not of the format epoch"),
    ],
)
def test_a_moment_that_cannot_be_read_is_unknown_and_reported(value: str, problem: str) -> None:
    """It costs no figure."""
    reported: list[str] = []
    assert read(RENEWED, f'{{"r": 5, "at": {value}}}', reported) == (Quota(unit="x", remaining=Decimal(5)),)
    assert reported == [problem]


OPTIONAL = RENEWED.replace("format: epoch", "format: epoch, optional: true")
WITHOUT_CARD = f"[{{unit: x, remaining: r}}, {RENEWED[1:]}".replace(
    "{unit: x, remaining: r, ", "{name: B, optional: true, unit: x, remaining: b, "
)


@pytest.mark.parametrize("quotas", [OPTIONAL, WITHOUT_CARD])
def test_a_moment_that_may_be_missing_is_not_reported(quotas: str) -> None:
    """Neither an optional one, nor that of a quota without a card."""
    reported: list[str] = []
    assert read(quotas, '{"r": 5}', reported) == (Quota(unit="x", remaining=Decimal(5)),)
    assert reported == []


def test_a_figure_that_may_be_missing_is_unknown() -> None:
    """A total that is null here may be stated elsewhere: that is not "no limit"."""
    total = "{path: t, optional: true}"
    for body in ('{"u": 5, "t": null}', '{"u": 5}'):
        assert read(f"[{{unit: x, used: u, total: {total}}}]", body) == (Quota(unit="x", used=Decimal(5)),)
    assert "total: not a number" in refused(f"[{{unit: x, used: u, total: {total}}}]", '{"u": 5, "t": "x"}')
    both = "[{unit: x, used: {path: u, optional: true}, remaining: {path: r, optional: true}}]"
    assert read(both, '{"u": null, "r": 1}') == (Quota(unit="x", remaining=Decimal(1)),)
    assert refused(both, '{"u": null}') == "quota: used and remaining: nothing is there"


def test_a_field_may_say_that_there_is_no_limit() -> None:
    """Then total and remaining are not read; another value leaves them as they are."""
    quotas = "[{unit: x, remaining: r, total: t, unlimited: {path: free, equals: true}}]"
    unlimited = (Quota(unit="x", unlimited=True),)
    assert read(quotas, '{"free": true, "r": 0, "t": 0}') == unlimited
    assert read(quotas, '{"free": true, "r": null}') == unlimited
    limited = (Quota(unit="x", remaining=Decimal(0), total=Decimal(0)),)
    for free in ('"free": false, ', '"free": "true", ', '"free": 1, ', '"free": null, ', ""):
        assert read(quotas, f'{{{free}"r": 0, "t": 0}}') == limited


def test_a_quota_may_depend_on_a_field() -> None:
    """Without it there is no card, and what it has is not read."""
    a = "{name: A, unit: x, remaining: a, only_if: {path: pay, equals: prepaid}}"
    quotas = f"[{a}, {{name: B, unit: x, remaining: b}}]"
    assert named(quotas, '{"pay": "prepaid", "a": 1, "b": 2}') == {"A": "1", "B": "2"}
    for pay in ('"pay": "postpaid", ', '"pay": null, ', ""):
        assert named(quotas, f'{{{pay}"a": "x", "b": 2}}') == {"B": "2"}
    each = (
        "[{each: list, name: {path: id}, unit: x, remaining: left, only_if: {path: on, not_equals: false}}]"
    )
    body = '{"list": [{"id": "a", "on": true, "left": 1}, {"id": "b", "on": false, "left": 2}, {"id": "c"}]}'
    assert named(each, body) == {"a": "1"}


def test_a_value_that_counts_as_null_is_unknown_or_without_a_card() -> None:
    """As null is: the total of a figure that may be missing, or the whole of an optional quota."""
    total = "{path: t, none: [1000000000000], optional: true}"
    assert read(f"[{{unit: x, used: u, total: {total}}}]", '{"u": 5, "t": 1000000000000}') == (
        Quota(unit="x", used=Decimal(5)),
    )
    pool = "{name: Limit, unit: x, optional: true, used: u, total: {path: t, none: [0, -1]}}"
    assert named(f"[{pool}, {{name: B, unit: x, remaining: b}}]", '{"u": 5, "t": -1, "b": 2}') == {"B": "2"}


EACH = "[{each: list, name: {path: id}, unit: {path: unit}, remaining: left}]"


def test_a_list_is_a_quota_for_each_element() -> None:
    """Named by a field of it, in the order of the list."""
    body = '{"list": [{"id": "b", "unit": "usd", "left": 0}, {"id": "a", "unit": "hours", "left": 2.5}]}'
    assert read(EACH, body) == (
        Quota(name="b", unit="USD", remaining=Decimal(0)),
        Quota(name="a", unit="hours", remaining=Decimal("2.5")),
    )


def test_an_element_that_cannot_be_read_fails_alone() -> None:
    """By its name; by its place if it has none that can be shown."""
    elements = ['{"id": "good", "unit": "x", "left": 1}', '{"id": "bad", "unit": "x"}', "7"]
    names = ["null", "5", '""', '" x"', '"a\\u202eb"', '"a\\nb"', f'"{"x" * 61}"', "[]"]
    elements += [f'{{"id": {name}, "unit": "x", "left": 1}}' for name in names]
    assert named(EACH, f'{{"list": [{", ".join(elements)}]}}') == {
        "good": "1",
        "bad": "list[1]: remaining: nothing is there",
        **{f"list[{place}]": f"list[{place}]: name: not a word" for place in range(2, 3 + len(names))},
    }


def test_elements_of_one_name_fail_together() -> None:
    """None of them is chosen; the others are read."""
    body = '{"list": [{"id": "a", "left": 1}, {"id": "b", "left": 2}, {"id": "a", "left": 3}]}'
    each = "[{each: list, name: {path: id}, unit: x, remaining: left}]"
    assert named(each, body) == {"a": "several quotas have the same name", "b": "2"}
    with_fixed = each.replace("[{", "[{name: b, unit: x, remaining: r}, {").replace("]", "]", 1)
    assert named(with_fixed, '{"r": 5, "list": [{"id": "b", "left": 2}, {"id": "c", "left": 3}]}') == {
        "b": "several quotas have the same name",
        "c": "3",
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[]", "the list is absent, null or empty"),
        ("null", "the list is absent, null or empty"),
        ("{}", "not a list"),
        ('"x"', "not a list"),
        (str([1] * 51), "a list of more than 50 elements"),
    ],
)
def test_a_list_that_is_none_or_too_long_is_a_failure(value: str, problem: str) -> None:
    """Of the account if nothing else is there; an optional list may be empty, null or absent."""
    assert refused(EACH, f'{{"list": {value}}}') == f"quota: {problem}"
    beside = "[{name: A, unit: x, remaining: a}, {optional: true, " + EACH[2:]
    missing = "absent" in problem
    read_there = named(beside, f'{{"a": 1, "list": {value}}}')
    assert read_there == {"A": "1"} | ({} if missing else {None: f"quota: {problem}"})


@pytest.mark.parametrize(
    ("at_zero", "body", "shown"),
    [
        ("absent", '{"a": 0, "b": 5}', {"B": "5"}),
        ("absent", '{"a": 1, "b": 5}', {"A": "1", "B": "5"}),
        ("absent", '{"a": 0, "b": 0}', {"B": "0"}),
        ("hidden", '{"a": 0, "b": 5}', {"B": "5"}),
        ("hidden", '{"a": 0, "b": 0}', {"A": "0", "B": "0"}),
        ("hidden", '{"a": -1, "b": 0}', {"A": "-1", "B": "0"}),
        ("absent", '{"a": 0}', {"A": "0", "B": "B: remaining: nothing is there"}),
        ("hidden", '{"a": 0}', {"A": "0", "B": "B: remaining: nothing is there"}),
        ("hidden", '{"a": null, "b": 5}', {"A": "A: remaining: null is there", "B": "5"}),
    ],
)
def test_a_quota_at_zero_has_no_card_if_the_definition_says_so(
    at_zero: str, body: str, shown: dict[str, str]
) -> None:
    """`absent`: never; `hidden`: while another is not at zero. At least one quota is shown."""
    quotas = f"[{{name: A, unit: x, remaining: a, at_zero: {at_zero}}}, {{name: B, unit: x, remaining: b}}]"
    assert named(quotas, body) == shown


def test_a_quota_is_at_zero_if_all_its_figures_are() -> None:
    """A spent pool is not: its total is stated."""
    quotas = "[{name: A, unit: x, remaining: a, total: t, at_zero: absent}, {name: B, unit: x, remaining: b}]"
    assert named(quotas, '{"a": 0, "t": 0, "b": 1}') == {"B": "1"}
    assert named(quotas, '{"a": 0, "t": 9, "b": 1}') == {"A": "0", "B": "1"}


@given(st.lists(st.tuples(st.sampled_from("abcd "), st.none() | st.integers(-3, 3)), max_size=6))
def test_each_element_is_a_quota_a_failure_or_part_of_a_clash(elements: list[tuple[str, int | None]]) -> None:
    """None is lost, and no figure is another one's."""
    body = json.dumps({"list": [{"id": name, "unit": "x", "left": left} for name, left in elements]})
    names = [name for name, _ in elements]
    readable = {
        name: left for name, left in elements if name != " " and left is not None and names.count(name) == 1
    }
    if not readable:
        refused(EACH, body)
        return
    found = read(EACH, body)
    assert {quota.name: quota.remaining for quota in found if isinstance(quota, Quota)} == readable
    assert len({quota.name for quota in found}) == len(found)
    assert set(names) - {" "} <= {quota.name for quota in found}


SUM = '[{unit: x, used: {sum: ["l[*]"]}}]'
HOSTILE = {
    "many cards": ("[{each: l, name: {path: id}, unit: x, used: u}]", '{"l": [' + "1," * 300_000 + "1]}"),
    "a long sum": (SUM, '{"l": [' + "0," * 300_000 + '"x"]}'),
    "lists in lists": (SUM.replace("[*]", "[*][*]"), '{"l": [' + "[]," * 200_000 + "[]]}"),
    "one element of many": ('[{unit: x, used: "l[a.b=1].u"}]', '{"l": [' + '{"a":{}},' * 80_000 + "{}]}"),
    "long numbers": (SUM, '{"l": [' + ("9" * 4000 + ",") * 200 + "1]}"),
    "long exponents": ('[{unit: x, used: "l[a=3].u"}]', '{"l": [' + '{"a":9e999999999},' * 40_000 + "{}]}"),
    "a deep document": ('[{unit: x, used: "a.a.a"}]', '{"a":' * 900 + "1" + "}" * 900),
}


@pytest.mark.parametrize(("quotas", "body"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_refused_in_bounded_time(quotas: str, body: str) -> None:
    """It raises the reader's own exception; the transport returns at most a megabyte."""
    assert len(body) <= MAX_BODY_BYTES
    began = time.process_time()
    refused(quotas, body)
    assert time.process_time() - began < 5
