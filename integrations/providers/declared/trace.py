"""The values that an answer has in each place of a definition, for an operator who writes one."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from integrations.providers.declared import reading
from integrations.providers.declared.definition import Definition, FigureRule, QuotaRule, Source
from integrations.providers.declared.failures import fits, value_of
from integrations.providers.declared.figures import Part, figure, values_at
from integrations.providers.declared.moments import renewal
from integrations.providers.declared.paths import Missing, Path
from integrations.quota.errors import ProviderError
from integrations.transport.response import Response

_LONGEST: Final = 40
_MOST: Final = 10
_PROBLEMS: Final = (ValueError, ProviderError)


@dataclass(frozen=True, slots=True)
class Place:
    """One place of an answer.

    Attributes:
        quota: the quota's name, or the place of a list's element; empty for a quota without a name.
        what: used, remaining, total, unlimited, only_if, name, unit, renews_at or each.
        where: the path or the header.
        found: the value there, shortened and without any key.
        read: the figure that was read, or the reason that there is none.
    """

    quota: str
    what: str
    where: str
    found: str
    read: str


def places(
    definition: Definition, response: Response, *, now: datetime, secrets: Iterable[str]
) -> Iterator[Place]:
    """Yield every place of the definition, in its order; those of a list once for each element."""
    show = _Shown([secret for secret in secrets if secret])
    for rule in definition.quotas:
        whole = Part(response, place=rule.fixed_name or "")
        try:
            parts = reading.parts(rule, whole)
        except _PROBLEMS as error:
            where = str(rule.each)
            yield Place(whole.place, "each", where, show.at(_at(rule.each), whole), f"not readable: {error}")
            continue
        for part in parts:
            yield from _places(rule, part, now, show)


def _places(rule: QuotaRule, part: Part, now: datetime, show: "_Shown") -> Iterator[Place]:
    for what, word in (("name", rule.name), ("unit", rule.unit)):
        if isinstance(word, Path):
            yield Place(part.place, what, str(word), show.at(_at(word), part), "")
    for what, figure_rule in rule.figures.items():
        found = show.at(figure_rule, part)
        yield Place(part.place, what, _where(figure_rule), found, _read_figure(figure_rule, part))
    for what, condition in (("unlimited", rule.unlimited), ("only_if", rule.only_if)):
        if condition is not None:
            found = show.at(_at(condition.path), part)
            try:
                read = "yes" if fits(condition, value_of(condition, part.document)) else "no"
            except _PROBLEMS as error:
                read = f"not readable: {error}"
            yield Place(part.place, what, str(condition.path), found, read)
    if rule.renews_at is not None:
        try:
            moment = renewal(rule.renews_at, part, now=now)
            read = f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "unknown"
        except _PROBLEMS as error:
            read = f"unknown: {error}"
        found = show.at(rule.renews_at, part)
        yield Place(part.place, "renews_at", _where(rule.renews_at), found, read)


def _read_figure(rule: FigureRule, part: Part) -> str:
    try:
        found = figure(rule, part)
    except _PROBLEMS as error:
        return f"not readable: {error}"
    return f"{found:f}" if isinstance(found, Decimal) else found.value


def _at(path: Path | None) -> Source:
    return Source.model_construct(path=path)


def _where(source: Source) -> str:
    if isinstance(source, FigureRule) and source.sum:
        return " + ".join(map(str, source.sum))
    if source.first is not None:
        return " or ".join(map(str, source.first))
    if source.header is None:
        return "" if source.path is None else str(source.path)
    return f"header {source.header}" + (f", item {source.item}" if source.item else "")


@dataclass(frozen=True, slots=True)
class _Shown:
    """Shows values of an answer on a terminal.

    Attributes:
        hidden: the keys, none of which is shown.
    """

    hidden: list[str]

    def at(self, source: Source, part: Part) -> str:
        """Return the values of a source; of a long list the first ones."""
        try:
            values = values_at(source, part)
        except _PROBLEMS as error:
            return f"({error})"
        shown = " + ".join(map(self._value, values[:_MOST]))
        return shown if len(values) <= _MOST else f"{shown} + … ({len(values)} values)"

    def _value(self, value: object) -> str:
        """Return a scalar as JSON, and the size of anything else."""
        if value is Missing.ABSENT:
            return "(nothing)"
        if value is Missing.EMPTY:
            return "(an empty list)"
        if isinstance(value, dict | list):
            return f"({'an object' if isinstance(value, dict) else 'a list'} of {len(value)})"
        text = value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
        for secret in self.hidden:
            text = text.replace(secret, "…")
        text = "".join(map(_printable, text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"))
        return f'"{text}"' if isinstance(value, str) else text


def _printable(character: str) -> str:
    """Return a character, or its escape if a terminal might obey it or change the direction of the text."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()
