"""Figures of an answer: exact, and nothing that is not in the answer."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.declared.definition import FigureRule
from integrations.providers.declared.figures import NoFigure, Part, UnexpectedAnswerError, figure
from integrations.providers.declared.paths import PathError
from tests.providers.declared.answers import response


def rule(**fields: object) -> FigureRule:
    """Return a figure's rule."""
    return FigureRule.model_validate(fields)


FIGURES = [
    ({"path": "a"}, '{"a": 0}', "0"),
    ({"path": "a"}, '{"a": 0.10}', "0.10"),
    ({"path": "a"}, '{"a": -7.5}', "-7.5"),
    ({"path": "a", "text": True}, '{"a": "12.29"}', "12.29"),
    ({"path": "a", "text": True}, '{"a": "-5.00"}', "-5.00"),
    ({"path": "a", "text": True}, '{"a": 5}', "5"),
    ({"path": "a", "text": True, "scale": "-0.01"}, '{"a": "-1000"}', "10.00"),
    ({"sum": ["a", "b"]}, '{"a": 0.1, "b": 0.2}', "0.3"),
    ({"sum": ["a", "b"]}, '{"a": 999999999999.5, "b": 1e-30}', "999999999999.500000000000000000000000000001"),
    ({"header": "X-Left"}, "", "5"),
    ({"header": "X-List", "item": 2}, "", "1000.5"),
    ({"path": "a", "scale": "0.000000001"}, '{"a": 20000000000000}', "20000.000000000"),
    ({"path": "a", "text": True, "scale": "0.01"}, '{"a": "2500000000000"}', "25000000000.00"),
    ({"path": "a", "scale": "-0.01"}, '{"a": 0}', "0.00"),
    ({"first": ["a", "b"]}, '{"b": 2}', "2"),
    ({"first": ["a", "b"]}, '{"a": null, "b": 2}', "2"),
    ({"first": ["a", "b"]}, '{"a": 0, "b": 2}', "0"),
    ({"first": ["a", "b"], "none": [0]}, '{"a": 0, "b": 2}', "2"),
    ({"sum": ["a[*].x"]}, '{"a": [{"x": 0.1}, {"x": 0.2}]}', "0.3"),
    ({"sum": ["a[*].b[*]"]}, '{"a": [{"b": [1, 2]}, {"b": [4]}]}', "7"),
    ({"sum": ["a[*].x", "y"], "text": True, "scale": "0.01"}, '{"a": [{"x": "123.45"}], "y": 1}', "1.2445"),
    ({"sum": ["a[*].x"], "empty": 0}, '{"a": []}', "0"),
    ({"sum": ["a[*].b[*]"], "empty": 0}, '{"a": [{"b": []}, {"b": [4]}]}', "4"),
    ({"sum": ["a[*].x"], "absent": 0}, '{"a": [{"x": 1}, {}]}', "1"),
    ({"sum": ["a", "b"], "absent": 0}, '{"b": 2}', "2"),
    ({"path": "a.b", "absent": 0}, '{"a": {}}', "0"),
    ({"path": "a.b", "absent": 0, "scale": "0.01"}, '{"a": {"b": 7}}', "0.07"),
]


@pytest.mark.parametrize(("fields", "body", "expected"), FIGURES, ids=str)
def test_a_figure_is_exact(fields: dict[str, object], body: str, expected: str) -> None:
    """Digit for digit, from the wire."""
    found = figure(rule(**fields), Part(response(body, X_Left=" 5 ", X_List="1, 1000.5")))
    assert str(found) == expected


NOTHING = [
    ({"path": "b"}, '{"a": 1}', NoFigure.ABSENT),
    ({"path": "a"}, '{"a": null}', NoFigure.NULL),
    ({"path": "a", "text": True}, '{"a": null}', NoFigure.NULL),
    ({"path": "a", "unlimited": [None]}, '{"a": null}', NoFigure.UNLIMITED),
    ({"path": "a", "unlimited": [None]}, "{}", NoFigure.ABSENT),
    ({"path": "a", "unlimited": [-1]}, '{"a": -1}', NoFigure.UNLIMITED),
    ({"path": "a", "unlimited": [10**12]}, '{"a": 1000000000000.0}', NoFigure.UNLIMITED),
    ({"path": "a", "unlimited": [-1], "text": True, "scale": "0.5"}, '{"a": "-1"}', NoFigure.UNLIMITED),
    ({"path": "a", "unlimited": ["none"]}, '{"a": "none"}', NoFigure.UNLIMITED),
    ({"sum": ["a", "b"]}, '{"a": 1}', NoFigure.ABSENT),
    ({"sum": ["a", "b"]}, '{"a": 1, "b": null}', NoFigure.NULL),
    ({"sum": ["a", "b"], "unlimited": ["none"]}, '{"a": 1, "b": "none"}', NoFigure.UNLIMITED),
    ({"sum": ["a[*].x"], "unlimited": [-1]}, '{"a": [{"x": 1}, {"x": -1}]}', NoFigure.UNLIMITED),
    ({"first": ["a", "b"]}, "{}", NoFigure.ABSENT),
    ({"first": ["a", "b"]}, '{"a": null}', NoFigure.NULL),
    ({"first": ["a", "b"], "unlimited": [None]}, '{"b": null}', NoFigure.UNLIMITED),
    ({"sum": ["a[*].x"]}, '{"a": []}', NoFigure.EMPTY),
    ({"sum": ["a[*].b[*]"]}, '{"a": [{"b": []}, {"b": [4]}]}', NoFigure.EMPTY),
    ({"sum": ["a[*].x"]}, '{"a": [{"x": 1}, {}]}', NoFigure.ABSENT),
    ({"sum": ["a[*].x"]}, '{"a": [{"x": 1}, {"x": null}]}', NoFigure.NULL),
    ({"sum": ["a[*].x"], "empty": 0}, "{}", NoFigure.ABSENT),
    ({"sum": ["a[*].x"], "empty": 0}, '{"a": {}}', NoFigure.ABSENT),
    ({"sum": ["a[*].x"], "empty": 0, "absent": 0}, '{"a": [1]}', NoFigure.ABSENT),
    ({"path": "a.b", "absent": 0}, "{}", NoFigure.ABSENT),
    ({"path": "a.b", "absent": 0}, '{"a": {"b": null}}', NoFigure.NULL),
    ({"path": "a", "none": [0, -1]}, '{"a": -1}', NoFigure.NULL),
    ({"path": "a", "none": [10**12], "text": True}, '{"a": "1000000000000"}', NoFigure.NULL),
    ({"first": ["a", "b"], "none": ["no"]}, '{"a": "no", "b": null}', NoFigure.NULL),
    ({"sum": ["a", "b"], "none": [-1]}, '{"a": 5, "b": -1}', NoFigure.NULL),
    ({"header": "X-None"}, "", NoFigure.ABSENT),
    ({"header": "X-List", "item": 3}, "", NoFigure.ABSENT),
]


@pytest.mark.parametrize(("fields", "body", "nothing"), NOTHING, ids=str)
def test_the_reasons_for_no_figure_are_kept_apart(
    fields: dict[str, object], body: str, nothing: NoFigure
) -> None:
    """Absent, null and unlimited are three things, and none of them is 0."""
    assert figure(rule(**fields), Part(response(body, X_List="1, 2"))) is nothing


MISFITS = [
    ({"path": "a"}, '{"a": "12"}'),
    ({"path": "a"}, '{"a": true}'),
    ({"path": "a"}, '{"a": 1000000000001}'),
    ({"path": "a"}, '{"a": 1e-400}'),
    ({"path": "a", "text": True}, '{"a": "1000000000001"}'),
    ({"path": "a", "text": True}, '{"a": "' + "0." + "0" * 41 + '1"}'),
    ({"path": "a", "text": True}, '{"a": "1e3"}'),
    ({"path": "a", "text": True}, '{"a": "+1"}'),
    ({"path": "a", "text": True}, '{"a": "NaN"}'),
    ({"path": "a", "text": True}, '{"a": "١٢"}'),
    ({"path": "a", "text": True}, '{"a": ""}'),
    ({"path": "a", "text": True}, '{"a": true}'),
    ({"path": "a", "scale": "1000"}, '{"a": 1000000000000}'),
    ({"sum": ["a", "a"]}, '{"a": 1000000000000}'),
    ({"path": "a", "unlimited": [1]}, '{"a": true}'),
    ({"path": "a", "scale": "0.01"}, '{"a": 1e999999}'),
    ({"path": "a", "scale": "0.01"}, '{"a": ' + "9" * 4000 + "}"),
    ({"sum": ["a", "b"]}, '{"a": 1e999999, "b": 1e-999999}'),
    ({"sum": ["a", "b"]}, '{"a": 0, "b": 1e-99999999999}'),
    ({"sum": ["a[*]"]}, '{"a": [1, "2"]}'),
    ({"sum": ["a[*]"]}, '{"a": [1, true]}'),
    ({"first": ["a", "b"]}, '{"a": "x", "b": 2}'),
    ({"header": "X-Left"}, ""),
]


@pytest.mark.parametrize(("fields", "body"), MISFITS, ids=str)
def test_any_other_value_is_an_unexpected_answer(fields: dict[str, object], body: str) -> None:
    """The error has the kind of the problem, and not the value."""
    with pytest.raises(UnexpectedAnswerError) as caught:
        figure(rule(**fields), Part(response(body, X_Left="five")))
    assert "five" not in str(caught.value)
    assert "12" not in str(caught.value)


@given(st.decimals(-(10**12), 10**12, places=6), st.decimals(-(10**12), 10**12, places=6))
def test_a_sum_of_texts_is_exact(first: Decimal, second: Decimal) -> None:
    """Of any two amounts whose sum is one."""
    body = f'{{"a": "{first:f}", "b": "{second:f}"}}'
    both = rule(sum=["a", "b"], text=True)
    if abs(first + second) <= 10**12:
        assert figure(both, Part(response(body))) == first + second
    else:
        with pytest.raises(UnexpectedAnswerError):
            figure(both, Part(response(body)))


@given(st.lists(st.lists(st.decimals(-(10**6), 10**6, places=4), max_size=4), max_size=4))
def test_a_sum_over_lists_is_the_sum_of_their_elements_or_nothing(lists: list[list[Decimal]]) -> None:
    """Exactly; and with an empty list in it there is no figure, unless the definition counts it as 0."""
    body = json.dumps({"a": [{"b": [f"{number:f}" for number in numbers]} for numbers in lists]})
    whole = sum((number for numbers in lists for number in numbers), Decimal(0))
    part = Part(response(body))
    assert figure(rule(sum=["a[*].b[*]"], text=True, empty=0), part) == whole
    strict = figure(rule(sum=["a[*].b[*]"], text=True), part)
    assert strict == whole if lists and all(lists) else strict is NoFigure.EMPTY


VALUES = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "7", "x", "1e9", "-"])
FIELDS = st.dictionaries(st.sampled_from("abx"), VALUES, max_size=3)
DOCUMENTS = st.dictionaries(
    st.sampled_from("abx"), VALUES | FIELDS | st.lists(VALUES | FIELDS, max_size=3), max_size=3
)
RULES = [
    {"path": "a.b"},
    {"path": "a", "text": True, "absent": 0},
    {"first": ["a.x", "b", "x"], "text": True},
    {"sum": ["a[*].x", "b"], "empty": 0, "absent": 0},
    {"sum": ["a[*]", "b[*].a"], "unlimited": [None], "text": True},
    {"path": "a[b=7].x"},
]


@given(st.sampled_from(RULES), DOCUMENTS)
def test_a_figure_is_a_value_of_the_document_or_a_sum_of_such(
    fields: dict[str, Any], document: dict[str, Any]
) -> None:
    """Any document gives such a figure, a reason, or one of the two exceptions; 0 only if the rule says so."""
    try:
        found = figure(rule(**fields), Part(response(json.dumps(document))))
    except (UnexpectedAnswerError, PathError):
        return
    if isinstance(found, Decimal):
        numbers = list(numbers_in(document))
        sums = {sum(chosen) for size in range(len(numbers) + 1) for chosen in combinations(numbers, size)}
        assert found in (sums if "sum" in fields else {*numbers, *([0] if "absent" in fields else [])})


def numbers_in(value: object) -> Iterator[Decimal]:
    """Yield every number of a document, and every text that is one."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield Decimal(value)
    elif value == "7":
        yield Decimal(7)
