"""A request to a provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Its repr shows the method alone, as a key may be anywhere else.

    Attributes:
        url: with its query; no redirect is followed.
        method: GET or POST.
        headers: in addition to those that HTTP itself needs.
        body: encoded; None for none.
    """

    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"Request({self.method})"
