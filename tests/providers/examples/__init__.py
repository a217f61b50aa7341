"""Providers that are not shipped: written from published formats, to prove that the next one is one file.

A module holds a `Provider`, a sample answer in the published format, and the readings that it must become.
"""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from integrations.providers.base import Provider


@dataclass(frozen=True)
class Sample:
    """An answer with 200, and what it must become: label, total, remaining, used, percentage, unit, level."""

    body: bytes
    readings: list[tuple[str, str | None, str | None, str | None, str | None, str, str | None]]
    headers: dict[str, str] = field(default_factory=dict)
    renews: bool = False


def number(text: str | None) -> Decimal | None:
    """A figure of a sample."""
    return None if text is None else Decimal(text)


def providers() -> list[tuple[Provider[Any], list[Sample]]]:
    """Every example and its samples."""
    found: list[tuple[Provider[Any], list[Sample]]] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(kind, Provider) and kind.__module__ == loaded.__name__:
                found.append((kind(), loaded.SAMPLES))
    return found
