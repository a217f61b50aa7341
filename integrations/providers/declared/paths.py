"""Paths to values in a JSON document: `data.plans[0].left`, `plan[type=subscription].credits`.

    path = [segment] ("." segment | "[" index "]" | "[" name "=" text "]")*

A path leads to exactly one value or to nothing; null is a value. `[name=text]` is the one element of a list whose
`name` is the string `text`. There are no wildcards and no arithmetic: what is shown always stands in the document.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class PathError(ValueError):
    """A path that cannot be read, or that fits two elements of a document."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""Where a path leads to nothing; null is found as None."""


@dataclass(frozen=True, slots=True)
class Where:
    """The step to the one element whose `name` is `text`."""

    name: str
    text: str


Step = str | int | Where
"""Into an object by key, into a list by index or by an element's own field."""

_SEGMENT: Final = r"[^.\[\]=\s]+"
_FIRST: Final = re.compile(_SEGMENT)
_STEP: Final = re.compile(
    rf"\.(?P<key>{_SEGMENT})"
    r"|\[(?P<index>0|[1-9][0-9]{0,5})\]"
    rf"|\[(?P<name>{_SEGMENT})=(?P<text>[^\[\]]+)\]"
)


@dataclass(frozen=True, slots=True)
class Path:
    """A path, ready to be followed.

    Attributes:
        steps: from the top of the document.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, written: object) -> "Path":
        """A path from its text, or from a list of its segments where their names hold a dot or a bracket.

        Raises:
            PathError: it is neither.
        """
        if isinstance(written, str):
            return cls(_steps_of(written))
        if isinstance(written, list) and written and all(map(_is_segment, written)):
            return cls(tuple(written))
        raise PathError("expected a path such as data.credits, or a list of its segments")

    def find(self, document: object) -> object:
        """The value that the path leads to, or `ABSENT`.

        Raises:
            PathError: `[name=text]` fits more than one element.
        """
        found = document
        for step in self.steps:
            if isinstance(step, Where):
                found = _element(found, step)
            elif isinstance(step, str):
                found = found.get(step, ABSENT) if isinstance(found, dict) else ABSENT
            else:
                found = found[step] if isinstance(found, list) and step < len(found) else ABSENT
            if found is ABSENT:
                break
        return found

    def __str__(self) -> str:
        """As it is written in a definition."""
        text = "".join(map(_written, self.steps)).removeprefix(".")
        try:
            return text if _steps_of(text) == self.steps else str(list(self.steps))
        except PathError:
            return str(list(self.steps))


def _is_segment(step: object) -> bool:
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
    return int(match["index"]) if match["index"] else Where(match["name"], match["text"])


def _element(found: object, where: Where) -> object:
    if not isinstance(found, list):
        return ABSENT
    fitting = [
        element
        for element in found
        if isinstance(element, dict) and element.get(where.name, ABSENT) == where.text
    ]
    if len(fitting) > 1:
        raise PathError(f"[{where.name}={where.text}] fits {len(fitting)} elements")
    return fitting[0] if fitting else ABSENT


def _written(step: Step) -> str:
    if isinstance(step, Where):
        return f"[{step.name}={step.text}]"
    return f".{step}" if isinstance(step, str) else f"[{step}]"
