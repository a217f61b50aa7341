"""What an answer says by a service's definition: its failure, or its figures. Nothing is guessed or filled in."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from enum import Enum
from typing import Final

from pydantic import TypeAdapter, ValidationError

from integrations.providers.base import Amount
from integrations.providers.declared.definition import (
    Definition,
    ErrorRule,
    FigureRule,
    QuotaRule,
    RenewalRule,
    Source,
)
from integrations.providers.declared.fields import DECIMAL, Scalar
from integrations.providers.declared.paths import ABSENT, Path, PathError
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import Quota
from integrations.transport.response import Response


class Nothing(Enum):
    """Where there is no figure."""

    ABSENT = "nothing stands there"
    NULL = "null stands there"
    UNLIMITED = "it means: no limit"


class MisfitError(ValueError):
    """What an answer holds does not fit the definition. The text names the kind of the misfit, never a value."""


_AMOUNT: Final[TypeAdapter[Decimal]] = TypeAdapter(Amount)
_EXACT: Final = Context(prec=200)
"""Room for the digits of any product and sum of amounts, so that none is rounded."""
_COUNTDOWN: Final = re.compile(r"([0-9]{1,5}):([0-5][0-9]):([0-5][0-9])")
_LONGEST_WAIT: Final = 10 * 366 * 24 * 3600
_LONGEST_UNIT: Final = 20
_CURRENCY_CODE: Final = 3
_FIRST_YEAR: Final = 2000


def failure_in(definition: Definition, response: Response) -> ProviderError | None:
    """The failure that the first fitting rule finds, or None."""
    for rule in definition.errors:
        if rule.status not in {None, response.status}:
            continue
        stated = rule.code if rule.path is None else _stated_by(rule, rule.path, response)
        if stated is not None:
            return ProviderError(stated, "by the definition's rule", http_status=response.status)
    return None


def _stated_by(rule: ErrorRule, path: Path, response: Response) -> ErrorCode | None:
    try:
        found = path.find(response.json())
    except (ProviderError, PathError):  # told apart from an error when the figures are read
        return None
    if rule.codes:
        return rule.codes.get(found) if isinstance(found, str) else None
    return rule.code if _same(found, rule.equals) else None


def _same(found: object, constant: Scalar) -> bool:
    """Whether two JSON scalars are equal by type and value: true is not 1, "1" is not 1, but 1.0 is 1."""
    if isinstance(found, bool) or isinstance(constant, bool):
        return found is constant
    if isinstance(found, int | Decimal) and isinstance(constant, int | Decimal):
        return found == constant
    return type(found) is type(constant) and found == constant


def quotas(definition: Definition, response: Response, *, now: datetime) -> tuple[Quota, ...]:
    """The quotas that an answer tells.

    Raises:
        ProviderError: `invalid_response`; the log gets the figure's place and the kind of the misfit, not the value.
    """
    read = []
    for rule in definition.quotas:
        try:
            quota = _quota(rule, response, now)
        except (MisfitError, PathError) as error:
            raise response.invalid(f"{rule.name or 'quota'}: {error}") from None
        if quota is not None:
            read.append(quota)
    if not read:
        raise response.invalid("none of the quotas is there")
    return tuple(read)


def _quota(rule: QuotaRule, response: Response, now: datetime) -> Quota | None:
    """The quota; None for one that is optional and not there."""
    figures = {name: figure(found, response) for name, found in rule.figures.items()}
    missing = {
        name: found
        for name, found in figures.items()
        if isinstance(found, Nothing) and found is not Nothing.UNLIMITED
    }
    unit = _unit(rule.unit, response)
    if missing or unit is None:
        if rule.optional:
            return None
        name, why = next(iter(missing.items()), ("unit", Nothing.ABSENT))
        raise MisfitError(f"{name}: {why.value}")
    used, remaining, total = (_known(figures.get(name)) for name in ("used", "remaining", "total"))
    unlimited = figures.get("remaining") is Nothing.UNLIMITED or (
        figures.get("total") is Nothing.UNLIMITED and remaining is None
    )
    try:
        return Quota(
            name=rule.name,
            unit=unit,
            used=used,
            remaining=remaining,
            total=None if unlimited else total,
            unlimited=unlimited,
            renews_at=None if rule.renews_at is None else renewal(rule.renews_at, response, now=now),
        )
    except ValueError as error:
        raise MisfitError(str(error)) from None


def _known(found: Decimal | Nothing | None) -> Decimal | None:
    return found if isinstance(found, Decimal) else None


def figure(rule: FigureRule, response: Response) -> Decimal | Nothing:
    """A figure, or why there is none.

    Raises:
        MisfitError: something else stands there.
        PathError: the path fits two elements.
        ProviderError: the body is no JSON.
    """
    parts = list(_values(rule, response))
    for part in parts:
        if part is not ABSENT and any(_same(_number_in(part, rule), constant) for constant in rule.unlimited):
            return Nothing.UNLIMITED
    for nothing, kind in ((ABSENT, Nothing.ABSENT), (None, Nothing.NULL)):
        if any(part is nothing for part in parts):
            return kind
    total = Decimal(0)
    for part in parts:
        total = _EXACT.add(total, _amount(_number_in(part, rule)))
    return _amount(total if rule.scale is None else _EXACT.multiply(total, rule.scale))


def _values(rule: FigureRule, response: Response) -> Iterator[object]:
    """What stands in the place of the figure, or of each part of its sum."""
    if rule.sum is None:
        yield value_at(rule, response)
        return
    document = response.json()
    for path in rule.sum:
        yield path.find(document)


def value_at(source: Source, response: Response) -> object:
    """What stands in a place of an answer, as it is, or `ABSENT`."""
    if source.header is None:
        return source.path.find(response.json()) if source.path is not None else ABSENT
    text = response.headers.get(source.header)
    if text is None:
        return ABSENT
    if source.item is None:
        return text.strip()
    items = text.split(",")
    return items[source.item - 1].strip() if source.item <= len(items) else ABSENT


def _number_in(found: object, rule: FigureRule) -> object:
    """The number that a text holds, where texts are allowed; everything else as it is."""
    if isinstance(found, str) and (rule.text or rule.header is not None) and DECIMAL.fullmatch(found):
        return Decimal(found)
    return found


def _amount(value: object) -> Decimal:
    try:
        return _AMOUNT.validate_python(value)
    except ValidationError as error:
        kind = "a text" if isinstance(value, str) else error.errors(include_input=False)[0]["type"]
        raise MisfitError(f"not a number as the definition expects it: {kind}") from None


def _unit(unit: str | Path, response: Response) -> str | None:
    if isinstance(unit, str):
        return unit
    found = unit.find(response.json())
    if found is ABSENT or found is None:
        return None
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_UNIT or not found.isprintable():
        raise MisfitError("unit: not a word")
    return found.upper() if len(found) == _CURRENCY_CODE else found


def renewal(rule: RenewalRule, response: Response, *, now: datetime) -> datetime | None:
    """The moment of the renewal; None where it is optional and not told.

    Raises:
        MisfitError: something else stands there, or nothing.
    """
    found = value_at(rule, response)
    if found is ABSENT or found is None:
        if rule.optional:
            return None
        raise MisfitError(
            "renews_at: nothing stands there" if found is ABSENT else "renews_at: null stands there"
        )
    if rule.header is not None and isinstance(found, str) and DECIMAL.fullmatch(found):
        found = Decimal(found)
    try:
        moment = _moment(found, rule.format, now).astimezone(UTC)
    except (ValueError, ArithmeticError, OSError):  # such as a month 13, or a second after 9999
        raise MisfitError(f"renews_at: not of the format {rule.format}") from None
    if moment.year < _FIRST_YEAR:  # a zero, which would be told as 1970
        raise MisfitError("renews_at: long past")
    return moment


def _moment(found: object, form: str, now: datetime) -> datetime:
    if form == "iso":
        moment = datetime.fromisoformat(_text(found))
        return moment.replace(tzinfo=moment.tzinfo or UTC)
    if form == "date":
        return datetime.combine(date.fromisoformat(_text(found)), time(), UTC)
    if form == "hh:mm:ss":
        match = _COUNTDOWN.fullmatch(_text(found))
        if match is None:
            raise ValueError(form)
        hours, minutes, seconds = map(int, match.groups())
        return now + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    number = _AMOUNT.validate_python(found) if form != "epoch_ms" else _milliseconds(found)
    if form == "seconds":
        if not 0 <= number <= _LONGEST_WAIT:
            raise ValueError(form)
        return now + timedelta(seconds=float(number))
    return datetime.fromtimestamp(float(number), UTC)


def _milliseconds(found: object) -> Decimal:
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise ValueError("not a number")  # noqa: TRY004 - one kind for every misfit
    return Decimal(found) / 1000


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise ValueError("not a text")  # noqa: TRY004 - one kind for every misfit
    return found
