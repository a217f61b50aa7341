"""Figures of an answer: exact, and nothing that is not in the answer."""

from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import Enum
from typing import Final

from pydantic import TypeAdapter, ValidationError

from integrations.providers.base import Amount
from integrations.providers.declared.definition import FigureRule, Source
from integrations.providers.declared.failures import is_same
from integrations.providers.declared.fields import Scalar
from integrations.providers.declared.paths import ABSENT, DECIMAL, Missing, Path
from integrations.transport.response import Response


class NoFigure(Enum):
    """The reason that there is no figure."""

    ABSENT = "nothing is there"
    EMPTY = "the list is empty"
    NULL = "null is there"
    UNLIMITED = "no limit"


class UnexpectedAnswerError(ValueError):
    """An answer does not fit the definition. The text names the kind of the problem, never a value."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an answer in which a quota's paths begin.

    Attributes:
        response: the whole answer.
        element: an element of a list; `ABSENT` for the whole document.
        place: the part's place for the log, such as `balances[0]` or the quota's name.
    """

    response: Response
    element: object = ABSENT
    place: str = "quota"

    @property
    def document(self) -> object:
        """The JSON to follow a path in.

        Raises:
            ProviderError: the body is no JSON.
        """
        return self.response.json() if self.element is ABSENT else self.element


_AMOUNT: Final[TypeAdapter[Decimal]] = TypeAdapter(Amount)
_EXACT: Final = Context(prec=200, traps=[Inexact, InvalidOperation])
"""Enough digits for any figure that a card can show; an operation that would round raises an ArithmeticError."""


def figure(rule: FigureRule, part: Part) -> Decimal | NoFigure:
    """Return a figure, or the reason that there is none.

    Raises:
        UnexpectedAnswerError: the value is no number that the definition expects.
        PathError: a path fits two elements.
        ProviderError: the body is no JSON.
    """
    left_out = ABSENT if rule.absent is None else rule.absent
    values = [number_in(value, rule) for value in values_at(rule, part, left_out=left_out)]
    if any(is_one_of(value, rule.unlimited) for value in values):
        return NoFigure.UNLIMITED
    values = [None if is_one_of(value, rule.none) else value for value in values]
    if rule.empty is not None:
        values = [value for value in values if value is not Missing.EMPTY]
    for kind, value in _REASONS.items():
        if any(found is value for found in values):
            return kind
    return _amount(values, rule.scale)


_REASONS: Final = {NoFigure.ABSENT: ABSENT, NoFigure.EMPTY: Missing.EMPTY, NoFigure.NULL: None}


def values_at(rule: Source, part: Part, *, left_out: object = ABSENT) -> list[object]:
    """Return the value of a source, or each value of a sum, as it is in the answer; a `Missing` if there is none.

    Args:
        rule: the path, the paths or the header.
        part: of the answer.
        left_out: the value of a field that is left out of its object.
    """
    if rule.header is not None:
        return [_header(rule.header, rule.item, part.response)]
    if rule.first is not None:
        return [_first(rule, rule.first, part.document)]
    paths = (rule.sum if isinstance(rule, FigureRule) else None) or ([rule.path] if rule.path else [])
    return [value for path in paths for value in path.find_all(part.document, left_out=left_out)]


def _first(rule: Source, paths: list[Path], document: object) -> object:
    """Return the first value that does not count as null; else one that does, if a path finds it; else `ABSENT`."""
    found: object = ABSENT
    for path in paths:
        value = path.find(document)
        if value is not None and value is not ABSENT and not is_one_of(number_in(value, rule), rule.none):
            return value
        found = value if found is ABSENT else found
    return found


def _header(name: str, item: int | None, response: Response) -> object:
    text = response.headers.get(name)
    if text is None:
        return ABSENT
    if item is None:
        return text.strip()
    items = text.split(",")
    return items[item - 1].strip() if item <= len(items) else ABSENT


def is_one_of(value: object, constants: list[Scalar]) -> bool:
    """Return whether a value is one of a rule's constants, by type and value."""
    return any(is_same(value, constant) for constant in constants)


def number_in(value: object, rule: Source) -> object:
    """Return the number in a text, if the rule allows texts; any other value as it is."""
    if isinstance(value, str) and (rule.text or rule.header is not None) and DECIMAL.fullmatch(value):
        return Decimal(value)
    return value


def _amount(values: list[object], scale: Decimal | None) -> Decimal:
    """Return the scaled sum. Only the result must be an amount: 20 TB in bytes are beyond 10^12."""
    total = Decimal(0)
    try:
        for value in values:
            total = _EXACT.add(total, _number(value))
        scaled = total if scale is None else _EXACT.multiply(total, scale)
        return _AMOUNT.validate_python(_EXACT.plus(scaled))  # 0 times -0.01 is -0, which plus makes 0
    except (ArithmeticError, ValidationError):
        raise UnexpectedAnswerError("beyond what any account holds") from None


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        kind = "a text" if isinstance(value, str) else "no number"
        raise UnexpectedAnswerError(f"not a number as the definition expects it: {kind}")
    return Decimal(value)
