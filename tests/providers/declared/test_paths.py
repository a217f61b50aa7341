"""Paths: what they find is in the document, and nothing else ever comes out of them."""

import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.declared.paths import ABSENT, Missing, Path, PathError

DOCUMENT = {
    "data": {"used": 0, "none": None, "list": [10, [20, 21]], "a.b": {"": 1}},
    "plan": [{"type": "sms", "credits": 1}, {"type": "subscription", "credits": 2}, {"type": 3}, "sms"],
    "twice": [{"type": "a"}, {"type": "a"}],
    "both": [{"unit": 3, "x": 1}, {"unit": "3", "x": 2}],
    "flags": [{"active": True, "x": 1}, {"active": False, "x": 2}, {"active": "no", "x": 3}, {"active": 1}],
    "windows": [{"window": {"duration": 300}, "x": 1}, {"window": {"duration": Decimal("5.50")}, "x": 2}, 7],
    "days": [{"costs": [{"usd": 1}, {"usd": None}]}, {"costs": []}, {"costs": [{"eur": 2}]}, {}],
}

FOUND = [
    ("data.used", 0),
    ("data.none", None),
    ("data.list[0]", 10),
    ("data.list[1][1]", 21),
    ("plan[type=subscription].credits", 2),
    ("plan[type=3].type", 3),
    ("flags[active=true].x", 1),
    ("flags[active=false].x", 2),
    ("flags[active=no].x", 3),
    ("windows[window.duration=300].x", 1),
    ("windows[window.duration=5.5].x", 2),
    (["data", "a.b", ""], 1),
    (["data", "list", 1, 0], 20),
    ("data.missing", ABSENT),
    ("data.none.deeper", ABSENT),
    ("data.used.deeper", ABSENT),
    ("data.list[2]", ABSENT),
    ("data[0]", ABSENT),
    ("plan[3][0]", ABSENT),
    ("data.list.0", ABSENT),
    ("plan[type=other]", ABSENT),
    ("data[type=sms]", ABSENT),
    ("flags[active=True]", ABSENT),
    ("windows[window.duration=3e2]", ABSENT),
    ("windows[window=300]", ABSENT),
]


@pytest.mark.parametrize(("written", "value"), FOUND, ids=str)
def test_a_path_finds_a_value_null_or_nothing(written: object, value: object) -> None:
    """0 is 0, null is null, and a missing value is neither."""
    found = Path.parse(written).find(DOCUMENT)
    assert (type(found), found) == (type(value), value)


def test_the_document_may_be_a_list() -> None:
    """The path then has no first segment."""
    assert Path.parse("[1].x").find([0, {"x": 5}]) == 5
    assert Path.parse("[k=v].x").find([{"k": "v", "x": 6}]) == 6


@pytest.mark.parametrize("path", ["twice[type=a].credits", "both[unit=3].x"])
def test_two_fitting_elements_are_an_error(path: str) -> None:
    """Neither of them is chosen, also if one is a number and the other a text."""
    with pytest.raises(PathError, match="fits 2 elements"):
        Path.parse(path).find(DOCUMENT)


ALL = [
    ("data.list[*]", [10, [20, 21]]),
    ("data.list[1][*]", [20, 21]),
    ("days[*].costs[*].usd", [1, None, Missing.EMPTY, ABSENT, ABSENT]),
    ("days[2].costs[*].eur", [2]),
    ("days[1].costs[*].usd", [Missing.EMPTY]),
    ("data[*]", [ABSENT]),
    ("data.none[*]", [ABSENT]),
    ("nothing[*].x", [ABSENT]),
    ("data.used", [0]),
]


@pytest.mark.parametrize(("path", "values"), ALL)
def test_all_elements_of_a_list_are_found_in_their_order(path: str, values: list[object]) -> None:
    """An empty list, a missing field and null are three things, each in its place."""
    assert Path.parse(path).find_all(DOCUMENT) == values


def test_a_left_out_field_is_replaced_only_if_its_object_is_there() -> None:
    """Null is not left out, and neither is the field of an object that is missing, too."""
    found = {
        "data.missing": [0],
        "days[*].costs[*].usd": [1, None, Missing.EMPTY, 0, ABSENT],
        "data.none": [None],
        "data.none.deeper": [ABSENT],
        "data.list.missing": [ABSENT],
        "missing.deeper": [ABSENT],
    }
    assert {path: Path.parse(path).find_all(DOCUMENT, left_out=0) for path in found} == found


WRONG = ["", ".", ".a", "a.", "a..b", "a[", "a[]", "a[x]", "a[-1]", "a[01]", "a[1000000]", "a[b=]", "a]b"]
WRONG += ["a b", "a=b", "a[*", "a[*]b", "a[**]", "a[.b=c]", "a[b.=c]", "a[b=c][", "[0]x", "a.[0]"]


@pytest.mark.parametrize("written", [*WRONG, [], [True], [-1], [None], [1.5], None, 7, {}, ("a",)], ids=repr)
def test_another_text_is_refused_as_a_path(written: object) -> None:
    """The definition is refused with an exception of its own."""
    with pytest.raises(PathError):
        Path.parse(written)


NAMES = st.text(alphabet="ab.[]= 01", max_size=4)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=30,
)
WRITTEN = (
    st.text(max_size=40) | st.text(alphabet="ab.[]=01*", max_size=12) | st.lists(NAMES | st.integers(0, 3))
)


def values_in(document: object) -> list[object]:
    """A document and everything in it."""
    found, waiting = [], [document]
    while waiting:
        value = waiting.pop()
        found.append(value)
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return found


@given(WRITTEN, DOCUMENTS)
def test_what_is_found_is_in_the_document(written: object, document: object) -> None:
    """Any path either is refused, fits two elements, finds nothing, or finds values of the document themselves."""
    try:
        found = Path.parse(written).find_all(document)
    except PathError:
        return
    there = values_in(document)
    assert found
    assert all(isinstance(value, Missing) or any(value is other for other in there) for value in found)


STEPS = st.lists(NAMES | st.integers(0, 3), min_size=1, max_size=5)


@given(STEPS, DOCUMENTS)
def test_every_value_is_found_in_its_place(steps: list[str | int], value: object) -> None:
    """Null included; after it there is nothing, which is not null."""
    document: object = value
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [*("x" * step), document]
    assert Path.parse(list(steps)).find(document) is value
    assert Path.parse([*steps, "certainly not there"]).find(document) is ABSENT


@given(WRITTEN)
def test_a_path_is_shown_as_it_is_written(written: object) -> None:
    """Its text parses to the same path."""
    try:
        path = Path.parse(written)
    except PathError:
        return
    if isinstance(written, str):
        assert str(path) == written
    else:
        assert str(path) == str(written) or Path.parse(str(path)) == path


def test_a_long_path_or_a_deep_document_does_not_overflow_the_stack() -> None:
    """50,000 levels are read."""
    document: object = 7
    for _ in range(50_000):
        document = {"a": document}
    assert Path.parse(".".join("a" * 50_000)).find(document) == 7


def test_lists_in_lists_take_no_longer_than_their_elements() -> None:
    """A hundred thousand empty lists are followed once each."""
    document: object = {"a": [{"b": [{"c": []}] * 1000}] * 100}
    began = time.process_time()
    assert len(Path.parse("a[*].b[*].c[*].d").find_all(document)) == 100_000
    assert time.process_time() - began < 10
