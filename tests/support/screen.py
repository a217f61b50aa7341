"""What a browser would show: the elements of a page, kept from Streamlit's messages as its frontend keeps them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element

_ESCAPE = re.compile(r"\\(\W)")
_SHOWN = frozenset({"body", "label", "text", "value", "message"})
"""The fields of an element that a person reads."""


@dataclass(frozen=True, slots=True)
class Item:
    """One element on the page.

    Attributes:
        kind: its name in the protocol: `heading`, `button`, `progress` and so on.
        content: its own message, such as a `Button`.
        fragment: the id of the fragment that drew it; empty outside of fragments.
        turn: which request of the viewer it answers.
        texts: what a person reads, without Markdown's backslashes.
    """

    kind: str
    content: Any
    fragment: str
    turn: int
    texts: tuple[str, ...]


class Screen:
    """The elements of one page, by their place."""

    def __init__(self) -> None:
        self._items: dict[tuple[int, ...], Item] = {}

    def apply(self, place: tuple[int, ...], delta: Delta, turn: int) -> Item | None:
        """Take in one change; gives the element where it brought one.

        Blocks hold no text, and a transient (a spinner, a skeleton) stands only until the element comes, so neither
        is kept.
        """
        if delta.WhichOneof("type") != "new_element":
            return None
        item = _item(delta.new_element, delta.fragment_id, turn)
        self._items[place] = item
        return item

    def drop_stale(self, turn: int, fragments: frozenset[str]) -> None:
        """Forget what a finished run has not drawn again: of the whole page, or of the run's fragments alone."""
        self._items = {
            place: item
            for place, item in self._items.items()
            if item.turn >= turn or (fragments and item.fragment not in fragments)
        }

    def items(self, *, since: int = 0) -> Iterator[Item]:
        """The elements from top to bottom, those of earlier turns left out."""
        return (item for _, item in sorted(self._items.items()) if item.turn >= since)

    def texts(self, *, since: int = 0) -> list[str]:
        """All that can be read, from top to bottom."""
        return [text for item in self.items(since=since) for text in item.texts]

    def shows(self, text: str, *, times: int = 1, since: int = 0) -> bool:
        """Whether so many elements hold the text."""
        holding = (item for item in self._items.values() if item.turn >= since)
        return sum(any(text in shown for shown in item.texts) for item in holding) >= times


def _item(element: Element, fragment: str, turn: int) -> Item:
    kind = element.WhichOneof("type") or "empty"
    content = getattr(element, kind)
    texts = tuple(
        _ESCAPE.sub(r"\1", value)
        for field, value in content.ListFields()
        if field.name in _SHOWN and isinstance(value, str)
    )
    return Item(kind, content, fragment, turn, texts)
