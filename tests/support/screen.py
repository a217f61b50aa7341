"""The elements of a page, collected from Streamlit's messages as its frontend does."""

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
        fragment: id of the fragment that drew it; empty outside of fragments.
        turn: number of the viewer's request that it answers.
        texts: that a person reads, without Markdown's backslashes.
    """

    kind: str
    content: Any
    fragment: str
    turn: int
    texts: tuple[str, ...]


class Screen:
    """The elements of a page, by their place."""

    def __init__(self) -> None:
        self._items: dict[tuple[int, ...], Item] = {}

    def apply(self, place: tuple[int, ...], delta: Delta, turn: int) -> Item | None:
        """Apply a change; return the new element, if any.

        Blocks hold no text, and transients (a spinner, a skeleton) soon disappear; neither is kept.
        """
        if delta.WhichOneof("type") != "new_element":
            return None
        item = _item(delta.new_element, delta.fragment_id, turn)
        self._items[place] = item
        return item

    def drop_stale(self, turn: int, fragments: frozenset[str]) -> None:
        """Drop the elements that a finished run has not drawn again, of the page or of the run's fragments."""
        self._items = {
            place: item
            for place, item in self._items.items()
            if item.turn >= turn or (fragments and item.fragment not in fragments)
        }

    def items(self, *, since: int = 0) -> Iterator[Item]:
        """Return the elements from top to bottom, without those of earlier turns."""
        return (item for _, item in sorted(self._items.items()) if item.turn >= since)

    def texts(self) -> list[str]:
        """Return all texts, from top to bottom."""
        return [text for item in self.items() for text in item.texts]

    def shows(self, text: str, *, since: int) -> bool:
        """Check whether an element holds the text."""
        return any(text in shown for item in self.items(since=since) for shown in item.texts)


def _item(element: Element, fragment: str, turn: int) -> Item:
    kind = element.WhichOneof("type") or "empty"
    content = getattr(element, kind)
    texts = tuple(
        _ESCAPE.sub(r"\1", value)
        for field, value in content.ListFields()
        if field.name in _SHOWN and isinstance(value, str)
    )
    return Item(kind, content, fragment, turn, texts)
