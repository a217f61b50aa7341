"""The quotas of an answer, by a service's definition. Nothing is guessed, and each quota fails on its own."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from pydantic import TypeAdapter, ValidationError

from integrations.providers.declared.definition import Definition, FigureRule, QuotaCondition, QuotaRule
from integrations.providers.declared.failures import fits, value_of
from integrations.providers.declared.fields import Word
from integrations.providers.declared.figures import NoFigure, Part, UnexpectedAnswerError, figure
from integrations.providers.declared.moments import renewal
from integrations.providers.declared.paths import ABSENT, Path, PathError
from integrations.quota.errors import ProviderError
from integrations.quota.models import FailedQuota, Quota
from integrations.transport.response import Response

MAX_ELEMENTS: Final = 50
"""The most elements of a list that may become cards."""

Report = Callable[[str], None]
"""Gets a sentence for each renewal that cannot be read."""

_Item = tuple[QuotaRule, Quota | FailedQuota]
_UNREADABLE: Final = (UnexpectedAnswerError, PathError, ProviderError)
_LONGEST_UNIT: Final = 20
_CURRENCY_CODE: Final = 3
_WORD: Final[TypeAdapter[str]] = TypeAdapter(Word)


class MissingError(UnexpectedAnswerError):
    """A figure, a unit or a list is absent, null or empty."""


def quotas(
    definition: Definition, response: Response, *, now: datetime, report: Report
) -> tuple[Quota | FailedQuota, ...]:
    """Return the quotas of an answer, at least one of which can be read.

    Raises:
        ProviderError: `invalid_response`; no quota can be read. The log gets the place and the kind of the problem,
            never a value.
    """
    items = [item for rule in definition.quotas for item in _items(rule, response, now, report)]
    found = _without_clashes(_without_zeros(items), response)
    if not any(isinstance(quota, Quota) for quota in found):
        failed = next((quota.error for quota in found if isinstance(quota, FailedQuota)), None)
        raise failed or response.invalid("none of the quotas is there")
    return tuple(found)


def _items(rule: QuotaRule, response: Response, now: datetime, report: Report) -> Iterator[_Item]:
    """Yield the quotas of a rule: one, or one for each element of its list, or none."""
    whole = Part(response, place=rule.fixed_name or "quota")
    try:
        found = parts(rule, whole)
    except _UNREADABLE as error:
        yield from _failure(rule, whole, rule.fixed_name, error)
        return
    for part in found:
        name = rule.fixed_name if rule.each is None else part.place
        try:
            if not _is_met(rule.only_if, part, default=True):
                continue
            name = name_of(rule, part)
            yield rule, _quota(rule, part, name, now, report)
        except _UNREADABLE as error:
            yield from _failure(rule, part, name, error)


def _failure(rule: QuotaRule, part: Part, name: str | None, error: Exception) -> Iterator[_Item]:
    """Yield the failure of a quota; nothing if it is optional and missing."""
    if rule.optional and isinstance(error, MissingError):
        return
    unit = rule.unit if isinstance(rule.unit, str) else None
    failure = error if isinstance(error, ProviderError) else part.response.invalid(f"{part.place}: {error}")
    yield rule, FailedQuota(name=name, unit=unit, error=failure)


def parts(rule: QuotaRule, whole: Part) -> list[Part]:
    """Return the parts of an answer that a rule reads: the whole, or the elements of its list.

    Raises:
        UnexpectedAnswerError: `each` finds no list, an empty one, or a very long one.
        PathError: `each` fits two elements.
        ProviderError: the body is no JSON.
    """
    if rule.each is None:
        return [whole]
    found = rule.each.find(whole.document)
    if found is ABSENT or found is None or found == []:
        raise MissingError("the list is absent, null or empty")
    if not isinstance(found, list):
        raise UnexpectedAnswerError("not a list")
    if len(found) > MAX_ELEMENTS:
        raise UnexpectedAnswerError(f"a list of more than {MAX_ELEMENTS} elements")
    return [Part(whole.response, element, f"{rule.each}[{index}]") for index, element in enumerate(found)]


def name_of(rule: QuotaRule, part: Part) -> str | None:
    """Return the name of a quota, from the definition or from the answer.

    Raises:
        UnexpectedAnswerError: the answer has no text that can be shown as a name.
        PathError: the path fits two elements.
    """
    if not isinstance(rule.name, Path):
        return rule.name
    try:
        return _WORD.validate_python(rule.name.find(part.document), strict=True)
    except ValidationError:
        raise UnexpectedAnswerError("name: not a word") from None


def _quota(rule: QuotaRule, part: Part, name: str | None, now: datetime, report: Report) -> Quota:
    """Return a quota. If the total has no limit, the remaining amount is not read."""
    unlimited = _is_met(rule.unlimited, part, default=False)
    total, remaining = None, None
    if not unlimited:
        total = _stated("total", rule.total, part)
        remaining = None if total is NoFigure.UNLIMITED else _stated("remaining", rule.remaining, part)
        unlimited = NoFigure.UNLIMITED in (total, remaining)
    used = _stated("used", rule.used, part)
    if not unlimited and used is None and remaining is None:
        raise MissingError("used and remaining: nothing is there")
    unit = _unit(rule, part)
    try:
        return Quota(
            name=name,
            unit=unit,
            used=_known(used),
            remaining=None if unlimited else _known(remaining),
            total=None if unlimited else _known(total),
            unlimited=unlimited,
            renews_at=_moment(rule, part, now, report),
        )
    except ValueError as error:
        raise UnexpectedAnswerError(str(error)) from None


def _is_met(condition: QuotaCondition | None, part: Part, *, default: bool) -> bool:
    return default if condition is None else fits(condition, value_of(condition, part.document))


def _stated(what: str, rule: FigureRule | None, part: Part) -> Decimal | NoFigure | None:
    """Return a figure, `UNLIMITED`, or None if it is unknown.

    Raises:
        MissingError: it is absent, null or an empty list, and not optional.
    """
    if rule is None:
        return None
    try:
        found = figure(rule, part)
    except UnexpectedAnswerError as error:
        raise UnexpectedAnswerError(f"{what}: {error}") from None
    if isinstance(found, Decimal) or found is NoFigure.UNLIMITED:
        return found
    if rule.optional and found is not NoFigure.EMPTY:
        return None
    raise MissingError(f"{what}: {found.value}")


def _known(found: Decimal | NoFigure | None) -> Decimal | None:
    return found if isinstance(found, Decimal) else None


def _unit(rule: QuotaRule, part: Part) -> str:
    if isinstance(rule.unit, str):
        return rule.unit
    found = rule.unit.find(part.document)
    if found is ABSENT or found is None:
        raise MissingError("unit: nothing is there" if found is ABSENT else "unit: null is there")
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_UNIT or not found.isprintable():
        raise UnexpectedAnswerError("unit: not a word")
    return found.upper() if len(found) == _CURRENCY_CODE else found


def _moment(rule: QuotaRule, part: Part, now: datetime, report: Report) -> datetime | None:
    """Return the renewal; None if it is unknown, for a reason that is reported."""
    if rule.renews_at is None:
        return None
    try:
        return renewal(rule.renews_at, part, now=now)
    except _UNREADABLE as error:
        report(f"{part.place}: renews_at: {error}")
        return None


def _without_zeros(items: list[_Item]) -> list[Quota | FailedQuota]:
    """Return the quotas without those that `at_zero` drops, unless that would drop all of them."""
    others_left = any(isinstance(quota, Quota) and not _is_zero(quota) for _, quota in items)
    kept = [
        quota
        for rule, quota in items
        if isinstance(quota, FailedQuota)
        or not _is_zero(quota)
        or rule.at_zero is None
        or (rule.at_zero == "hidden" and not others_left)
    ]
    if any(isinstance(quota, Quota) for quota in kept):
        return kept
    return [quota for _, quota in items]


def _is_zero(quota: Quota) -> bool:
    return not quota.unlimited and not any((quota.used, quota.remaining, quota.total))


def _without_clashes(found: list[Quota | FailedQuota], response: Response) -> list[Quota | FailedQuota]:
    """Return the quotas; those of one name become one failure, as none of them can be chosen."""
    count = Counter(quota.name for quota in found)
    kept: dict[str | None, Quota | FailedQuota] = {}
    for quota in found:
        clash = FailedQuota(
            name=quota.name, unit=quota.unit, error=response.invalid("several quotas have the same name")
        )
        kept.setdefault(quota.name, quota if count[quota.name] == 1 else clash)
    return list(kept.values())
