"""Figures of an answer: exact, and nothing that is not in the answer."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.declared.definition import FigureRule
from integrations.providers.declared.figures import NoFigure, Part, UnexpectedAnswerError, figure
from tests.providers.declared.answers import response


def rule(**fields: object) -> FigureRule:
    """Return a figure's rule."""
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
    ({"header": "X-None"}, "", NoFigure.ABSENT),
    ({"header": "X-List", "item": 3}, "", NoFigure.ABSENT),
]


@pytest.mark.parametrize(("fields", "body", "nothing"), NOTHING, ids=str)
def test_nothing_is_told_apart(fields: dict[str, object], body: str, nothing: NoFigure) -> None:
    """Absent, null and unlimited are three things, and none of them is 0."""
    assert figure(rule(**fields), Part(response(body, X_List="1, 2"))) is nothing


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
