"""What an answer holds in each place that a definition names: for the operator who writes one."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from integrations.providers.declared import reading
from integrations.providers.declared.definition import Definition, FigureRule, QuotaRule, Source
from integrations.providers.declared.paths import ABSENT, Path, PathError
from integrations.quota.errors import ProviderError
from integrations.transport.response import Response

_LONGEST: Final = 40


@dataclass(frozen=True, slots=True)
class Place:
    """One place of an answer.

    Attributes:
        quota: the quota's name; empty for one without.
        what: used, remaining, total, unit or renews_at.
        where: the path or the header.
        found: what stands there, shortened, and without any key.
        read: what it was read as, or why it could not be.
    """

    quota: str
    what: str
    where: str
    found: str
    read: str


def places(
    definition: Definition, response: Response, *, now: datetime, secrets: Iterable[str]
) -> Iterator[Place]:
    """Every place that the definition names, in its order."""
    hidden = [secret for secret in secrets if secret]
    for quota in definition.quotas:
        for what, rule in quota.figures.items():
            yield _figure(quota, what, rule, response, hidden)
        if isinstance(quota.unit, Path):
            source = _at(quota.unit)
            yield Place(quota.name or "", "unit", str(quota.unit), _found(source, response, hidden), "")
        if quota.renews_at is not None:
            try:
                moment = reading.renewal(quota.renews_at, response, now=now)
                read = f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "unknown"
            except (ValueError, ProviderError) as error:
                read = f"not readable: {error}"
            found = _found(quota.renews_at, response, hidden)
            yield Place(quota.name or "", "renews_at", _where(quota.renews_at), found, read)


def _figure(quota: QuotaRule, what: str, rule: FigureRule, response: Response, hidden: list[str]) -> Place:
    try:
        figure = reading.figure(rule, response)
        read = figure.value if isinstance(figure, reading.Nothing) else f"{figure:f}"
    except (ValueError, ProviderError) as error:
        read = f"not readable: {error}"
    parts = [_at(path) for path in rule.sum] if rule.sum else [rule]
    found = " + ".join(_found(part, response, hidden) for part in parts)
    return Place(quota.name or "", what, _where(rule), found, read)


def _at(path: Path) -> Source:
    return Source.model_construct(path=path)


def _where(source: Source) -> str:
    if isinstance(source, FigureRule) and source.sum:
        return " + ".join(map(str, source.sum))
    if source.header is None:
        return str(source.path)
    return f"header {source.header}" + (f", item {source.item}" if source.item else "")


def _found(source: Source, response: Response, hidden: list[str]) -> str:
    """What stands there: a scalar as JSON, the size of anything else."""
    try:
        value = reading.value_at(source, response)
    except (PathError, ProviderError) as error:
        return f"({error})"
    if value is ABSENT:
        return "(nothing)"
    if isinstance(value, dict | list):
        return f"({'an object' if isinstance(value, dict) else 'a list'} of {len(value)})"
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, str) else str(value)
    text = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    for secret in hidden:
        text = text.replace(secret, "…")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
