"""The figures and their rules. Pure: no clock, no network, no settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from integrations.quota.errors import ErrorCode, ProviderError, Status


def _number(figure: Decimal) -> int | float:
    """A JSON number that reads as the figure does: 7500, 7499.98."""
    return int(figure) if figure == figure.to_integral_value() else float(figure)


def _timestamp(moment: datetime) -> str:
    """RFC 3339, to the second."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time is beyond the calendar") from None


MAX_FIGURE: Final = 10**12
MAX_DECIMALS: Final = 40
"""More than any float prints; a 1e-999999 would be a million characters on the card."""


def _is_too_large(figure: Decimal) -> bool:
    exponent = figure.as_tuple().exponent
    return abs(figure) > MAX_FIGURE or not isinstance(exponent, int) or -exponent > MAX_DECIMALS


Figure = Annotated[
    Decimal,
    Field(allow_inf_nan=False),
    PlainSerializer(_number, when_used="json"),
    WithJsonSchema({"type": "number"}),
]
"""An exact amount. In JSON a number."""

Moment = Annotated[
    datetime,
    AfterValidator(_in_utc),
    PlainSerializer(_timestamp, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A point in time, in UTC. In JSON RFC 3339, to the second."""


class Level(StrEnum):
    """How close to the end a quota is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The percentages used from which a quota counts as `warning` and `critical`."""

    warning: Decimal = Decimal(80)
    critical: Decimal = Decimal(95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one answer of a provider says of one allowance; a figure it does not state stays None.

    Attributes:
        remaining: what is left; below zero where the provider lets an account overdraw.
        total: the allowance.
        used: what has been spent of it.
        unlimited: the plan has no allowance, so nothing can run out.
        renews_at: when the allowance is filled again.
        unit: what is counted, in the plural: "credits", "searches", "USD", "%".
        name: which allowance, where an account has several: "Searches".
    """

    remaining: Decimal | None = None
    total: Decimal | None = None
    used: Decimal | None = None
    unlimited: bool = False
    renews_at: datetime | None = None
    unit: str = "credits"
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no account can hold.

        Raises:
            ValueError: a figure is not finite, is beyond ±10¹² or has more than 40 decimals; the total or the used
                amount is negative; or nothing is stated.
        """
        figures = (self.remaining, self.total, self.used)
        if any(figure is not None and not figure.is_finite() for figure in figures):
            raise ValueError("a figure is not a finite number")
        if any(figure is not None and _is_too_large(figure) for figure in figures):
            raise ValueError("a figure is beyond what any account holds")
        if any(figure is not None and figure < 0 for figure in (self.total, self.used)):
            raise ValueError("the total and the used amount cannot be negative")
        if self.remaining is None and self.used is None and not self.unlimited:
            raise ValueError("neither the remaining nor the used amount is stated")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedQuota:
    """A quota that an answer should state, but that cannot be read; the answer's other quotas are not affected.

    Attributes:
        name: which allowance; None if the account has one only, or if its name is unknown.
        unit: what is counted; None if that is unknown.
        error: the reason.
    """

    name: str | None
    unit: str | None
    error: ProviderError


def _complete(quota: Quota) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Total, remaining and used, where each can be known from the others."""
    if quota.unlimited:
        return None, None, quota.used
    total, remaining, used = quota.total, quota.remaining, quota.used
    if remaining is None and total is not None and used is not None:
        remaining = total - used
    if total is None and remaining is not None and used is not None:
        total = remaining + used
    if total is not None and remaining is not None:
        used = max(total - remaining, Decimal(0))
    return total, remaining, used


_TENTH: Final = Decimal("0.1")


def usage_percentage(*, total: Decimal, remaining: Decimal) -> Decimal | None:
    """The share of the total that is used, in percent with at most one decimal.

    It reaches 100 only when nothing is left and 0 only when nothing is used. None where the total is 0: a share
    of nothing is not a figure.
    """
    if total == 0:
        return None
    used = total - remaining
    if used <= 0:
        return Decimal(0)
    percentage = (used * 100 / total).quantize(_TENTH, ROUND_HALF_UP)
    if remaining > 0:
        return min(max(percentage, _TENTH), Decimal(100) - _TENTH)
    return percentage


def _level(
    quota: Quota, remaining: Decimal | None, percentage: Decimal | None, thresholds: Thresholds
) -> Level | None:
    if quota.unlimited:
        return Level.OK
    if remaining is not None and remaining <= 0:
        return Level.EXHAUSTED
    if percentage is None:
        return None
    if percentage >= thresholds.critical:
        return Level.CRITICAL
    return Level.WARNING if percentage >= thresholds.warning else Level.OK


class _Document(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        json_schema_serialization_defaults_required=True,
    )


class UsageError(_Document):
    """Why the last fetch failed, without detail of the inside."""

    code: Annotated[
        ErrorCode, WithJsonSchema({"type": "string", "examples": [code.value for code in ErrorCode]})
    ] = Field(description="What went wrong; the same word for every provider. More may be added.")
    message: str = Field(description="A sentence for people.")
    retry_after: int | None = Field(
        default=None,
        description="Seconds until the provider may be asked again; null where it named no time.",
    )


class Reading(_Document):
    """One reading of one quota: the document's keys, in the document's order."""

    provider: str = Field(description="The provider's name; with the quota's where it has several.")
    total_quota: Figure | None = Field(default=None, description="The allowance; null when it is unknown.")
    remaining_quota: Figure | None = Field(
        default=None, description="What is left; negative when overdrawn; null without a reading or a limit."
    )
    used_quota: Figure | None = Field(
        default=None, description="What is used, at least 0; null when it is unknown."
    )
    usage_percentage: Figure | None = Field(
        default=None,
        description="The share used, at most one decimal; over 100 when overdrawn; null if unknown.",
    )
    status: Status = Field(description="How the last fetch ended.")
    unit: str | None = Field(
        default=None, description="What the figures count; null when it is unknown before the first reading."
    )
    level: Level | None = Field(
        default=None, description="How close to the end; null when it cannot be known."
    )
    fetched_at: Moment | None = Field(
        default=None, description="When the figures were read; null without any."
    )
    stale: bool = Field(default=False, description="True when the figures are older than the last fetch.")
    renews_at: Moment | None = Field(
        default=None, description="When the quota is filled again; null if unknown."
    )
    error: UsageError | None = Field(
        default=None, description="Why the last fetch failed; null if it did not."
    )

    @classmethod
    def measured(cls, label: str, quota: Quota, *, at: datetime, thresholds: Thresholds) -> Self:
        """The reading that a good answer gives.

        Args:
            label: the provider's name for people.
            quota: what the answer said.
            at: when it was read.
            thresholds: from which percentages a quota counts as low.
        """
        total, remaining, used = _complete(quota)
        percentage = None
        if total is not None and remaining is not None:
            percentage = usage_percentage(total=total, remaining=remaining)
        return cls(
            provider=f"{label} {quota.name}" if quota.name else label,
            total_quota=total,
            remaining_quota=remaining,
            used_quota=used,
            usage_percentage=percentage,
            status=Status.ACTIVE,
            unit=quota.unit,
            level=_level(quota, remaining, percentage, thresholds),
            fetched_at=at,
            renews_at=quota.renews_at,
        )

    @classmethod
    def without_figures(cls, label: str, error: UsageError, *, unit: str | None = None) -> Self:
        """The reading of a provider that has never answered: every figure unknown.

        Args:
            label: the provider's name for people.
            error: why.
            unit: what its figures would count, where that is known beforehand.
        """
        return cls(provider=label, status=error.code.status, unit=unit, error=error)

    def after_failure(self, error: UsageError) -> Self:
        """The same figures, marked stale with the reason."""
        return self.model_copy(update={"status": error.code.status, "stale": True, "error": error})

    @property
    def has_figures(self) -> bool:
        """Whether there is anything to show: a reading was taken, now or earlier."""
        return self.fetched_at is not None

    @property
    def unlimited(self) -> bool:
        """Whether the plan has no limit: all is well and there is no remainder to speak of."""
        return self.level is Level.OK and self.remaining_quota is None


class UsageReport(_Document):
    """The answer of `GET /integrations/usage`: every reading, in the order of the accounts."""

    integrations: Sequence[Reading]

    @property
    def all_active(self) -> bool:
        """Whether every provider answered the last time it was asked."""
        return all(reading.status is Status.ACTIVE for reading in self.integrations)


def usage_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document: what is always there, and room for fields that may be added."""
    schema = UsageReport.model_json_schema(mode="serialization")
    for described in (schema, *schema["$defs"].values()):
        described.pop("additionalProperties", None)
        for field in described.get("properties", {}).values():
            field.pop("title", None)
            field.pop("default", None)  # each is always sent
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
