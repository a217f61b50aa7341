"""Paths to values in a JSON document: `data.plans[0].left`, `plan[type=subscription].credits`, `data[*].cost`.

    path = [key] ("." key | "[" index "]" | "[*]" | "[" key ("." key)* "=" value "]")*

A path without `[*]` finds one value or none; null is a value. `[*]` finds all elements of a list. `[name=value]` finds
the one element of a list with this value, which may be a text, a number, true or false. There is no arithmetic: a path
only finds values of the document.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final


class PathError(ValueError):
    """A path cannot be parsed, or it fits two elements of a document."""


class Missing(Enum):
    """The reason that a path finds no value. Null is no such reason: it is found as None."""

    ABSENT = "nothing is there"
    EMPTY = "the list is empty"


ABSENT: Final = Missing.ABSENT


class Every(Enum):
    """The step to all elements of a list."""

    EVERY = "[*]"


@dataclass(frozen=True, slots=True)
class Where:
    """The step to the one element that has `value` at `keys`."""

    keys: tuple[str, ...]
    value: str

    def __str__(self) -> str:
        return f"[{'.'.join(self.keys)}={self.value}]"


Step = str | int | Where | Every
"""A key of an object, an index of a list, a condition on an element of a list, or all elements of a list."""

DECIMAL: Final = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,60})?")
_KEY: Final = r"[^.\[\]=\s]+"
_FIRST: Final = re.compile(_KEY)
_STEP: Final = re.compile(
    rf"\.(?P<key>{_KEY})"
    r"|\[(?P<index>0|[1-9][0-9]{0,5})\]"
    r"|\[(?P<every>\*)\]"
    rf"|\[(?P<keys>{_KEY}(?:\.{_KEY})*)=(?P<value>[^\[\]]+)\]"
)


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path.

    Attributes:
        steps: from the top of the document.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: object) -> "Path":
        """Parse a path from a text, or from a list of keys and indices if a key has a dot or a bracket.

        Raises:
            PathError: it is neither.
        """
        if isinstance(text, str):
            return cls(_steps_of(text))
        if isinstance(text, list) and text and all(map(_is_plain_step, text)):
            return cls(tuple(text))
        raise PathError("expected a path such as data.credits, or a list of its keys")

    @property
    def has_every(self) -> bool:
        """Whether the path has a `[*]`, so that it may find several values."""
        return Every.EVERY in self.steps

    @property
    def ends_in_key(self) -> bool:
        """Whether the last step is a key of an object."""
        return isinstance(self.steps[-1], str)

    def find(self, document: object) -> object:
        """Return the value that a path without `[*]` finds, or `ABSENT`.

        Raises:
            PathError: `[name=value]` fits more than one element, or the path has a `[*]`.
        """
        if self.has_every:
            raise PathError("[*] finds several values")
        (found,) = self.find_all(document)
        return found

    def find_all(self, document: object, *, left_out: object = ABSENT) -> list[object]:
        """Return the values that the path finds, in the document's order; a `Missing` for each that is not there.

        Args:
            document: JSON.
            left_out: the value to return if the object is there, and only the last key is missing in it.

        Raises:
            PathError: `[name=value]` fits more than one element.
        """
        found = [document]
        last = len(self.steps) - 1
        for position, step in enumerate(self.steps):
            default = left_out if position == last else ABSENT
            if step is Every.EVERY:
                found = [element for value in found for element in _elements(value)]
            else:
                found = [_step_into(value, step, default) for value in found]
        return found

    def __str__(self) -> str:
        text = "".join(map(_format_step, self.steps)).removeprefix(".")
        try:
            return text if _steps_of(text) == self.steps else str(list(self.steps))
        except PathError:
            return str(list(self.steps))


def _elements(value: object) -> list[object]:
    if isinstance(value, list):
        return value or [Missing.EMPTY]
    return [value if isinstance(value, Missing) else ABSENT]


def _step_into(value: object, step: Step, default: object) -> object:
    if isinstance(value, Missing):
        return value
    if isinstance(step, str):
        return value.get(step, default) if isinstance(value, dict) else ABSENT
    if not isinstance(value, list):
        return ABSENT
    if isinstance(step, int):
        return value[step] if step < len(value) else ABSENT
    return _only_element(value, step) if isinstance(step, Where) else ABSENT


def _only_element(elements: list[object], where: Where) -> object:
    key = Path(where.keys)
    fitting = [element for element in elements if _has_value(key.find(element), where.value)]
    if len(fitting) > 1:
        raise PathError(f"{where} fits {len(fitting)} elements")
    return fitting[0] if fitting else ABSENT


def _has_value(found: object, text: str) -> bool:
    if isinstance(found, bool):
        return text == str(found).lower()
    if isinstance(found, int | Decimal):
        return DECIMAL.fullmatch(text) is not None and found == Decimal(text)
    return found == text


def _is_plain_step(step: object) -> bool:
    return isinstance(step, str) or (isinstance(step, int) and not isinstance(step, bool) and step >= 0)


def _steps_of(text: str) -> tuple[Step, ...]:
    first = _FIRST.match(text)
    steps: list[Step] = [first[0]] if first else []
    position = first.end() if first else 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (position == 0 and match["key"]):
            raise PathError(
                f"expected a path such as data.credits; it breaks off at character {position + 1}"
            )
        steps.append(_step(match))
        position = match.end()
    if not steps:
        raise PathError("expected a path such as data.credits, not an empty text")
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["key"]:
        return match["key"]
    if match["every"]:
        return Every.EVERY
    return int(match["index"]) if match["index"] else Where(tuple(match["keys"].split(".")), match["value"])


def _format_step(step: Step) -> str:
    if isinstance(step, str):
        return f".{step}"
    return f"[{step}]" if isinstance(step, int) else str(step.value if isinstance(step, Every) else step)
