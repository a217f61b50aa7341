"""The quotas of an answer, and the readings that are shown. Pure: no clock, no network, no settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from integrations.quota.errors import ErrorCode, ProviderError, Status
from integrations.quota.rules import (
    NO_FLOORS,
    Figures,
    Floors,
    Level,
    Period,
    Thresholds,
    has_pace,
    level_of,
    projected_exhaustion,
    usage_percentage,
)


def _number(figure: Decimal) -> int | float:
    """Return a figure as a JSON number: 7500, 7499.98."""
    return int(figure) if figure == figure.to_integral_value() else float(figure)


def _timestamp(moment: datetime) -> str:
    """Return a moment in the form of RFC 3339, to the second."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One allowance as an answer of a provider states it; a figure that is not stated is None.

    Attributes:
        remaining: what is left; below zero if the account is overdrawn.
        total: the allowance; 0 if the plan includes nothing.
        used: what has been spent of it.
        unlimited: the plan has no allowance, so nothing can run out.
        starts_at: when the current period began, if that is known.
        renews_at: when the allowance is filled again.
        unit: what is counted, in the plural: "credits", "searches", "USD", "%".
        name: of the allowance, if an account has several: "Searches".
    """

    remaining: Decimal | None = None
    total: Decimal | None = None
    used: Decimal | None = None
    unlimited: bool = False
    starts_at: datetime | None = None
    renews_at: datetime | None = None
    unit: str = "credits"
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse impossible figures.

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


def card_name(label: str, quota_name: str | None) -> str:
    """Return the name of a quota's card: the provider's label, and the quota's name if the account has several."""
    return f"{label} {quota_name}" if quota_name else label


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
        description="Seconds until the provider may be called again; null if it named no time.",
    )


class Reading(_Document):
    """One reading of one quota: the document's keys, in the document's order."""

    provider: str = Field(description="The provider's name; with the quota's if it has several.")
    total_quota: Figure | None = Field(
        default=None, description="The allowance; 0 if nothing is included; null if unknown."
    )
    remaining_quota: Figure | None = Field(
        default=None, description="The amount left; negative if overdrawn; null without a reading or a limit."
    )
    used_quota: Figure | None = Field(
        default=None,
        description="The amount used, at least 0, even above the total if stated; null if unknown.",
    )
    usage_percentage: Figure | None = Field(
        default=None,
        description="The share used, at most one decimal; over 100 if overdrawn; null if unknown.",
    )
    status: Status = Field(description="How the last fetch ended.")
    unit: str | None = Field(
        default=None, description="What the figures count; null when it is unknown before the first reading."
    )
    level: Level | None = Field(default=None, description="How close to the end; null if not rated.")
    fetched_at: Moment | None = Field(
        default=None, description="When the figures were read; null without any."
    )
    stale: bool = Field(default=False, description="True when the figures are older than the last fetch.")
    starts_at: Moment | None = Field(
        default=None, description="When the current period began; null if unknown."
    )
    renews_at: Moment | None = Field(
        default=None, description="When the quota is filled again; null if unknown."
    )
    projected_exhaustion_at: Moment | None = Field(
        default=None,
        description=(
            "When nothing will be left at the average pace of the period so far; "
            "null if that is unknown or not before the renewal."
        ),
    )
    error: UsageError | None = Field(
        default=None, description="Why the last fetch failed; null if it did not."
    )

    @classmethod
    def measured(
        cls, label: str, quota: Quota, *, at: datetime, thresholds: Thresholds, floors: Floors = NO_FLOORS
    ) -> Self:
        """Return the reading of a good answer.

        Args:
            label: the provider's name for people.
            quota: the quota of the answer.
            at: when it was read.
            thresholds: the percentages from which a quota counts as low.
            floors: the amounts at which the account's quota counts as low.
        """
        figures = Figures(used=quota.used)
        if not quota.unlimited:
            figures = Figures(total=quota.total, remaining=quota.remaining, used=quota.used).completed()
        found = cls(
            provider=card_name(label, quota.name),
            total_quota=figures.total,
            remaining_quota=figures.remaining,
            used_quota=figures.used,
            usage_percentage=usage_percentage(figures),
            status=Status.ACTIVE,
            unit=quota.unit,
            level=Level.OK if quota.unlimited else level_of(figures, thresholds, floors),
            fetched_at=at,
            starts_at=quota.starts_at,
            renews_at=quota.renews_at,
        )
        if found._period is None:
            return found
        return found.model_copy(
            update={"projected_exhaustion_at": projected_exhaustion(figures, found._period)}
        )

    @classmethod
    def without_figures(cls, name: str, error: UsageError, *, unit: str | None = None) -> Self:
        """Return the reading of a provider, or a quota, that was never read: every figure is unknown.

        Args:
            name: the card's name.
            error: the reason.
            unit: the unit of its figures, if that is known beforehand.
        """
        return cls(provider=name, status=error.code.status, unit=unit, error=error)

    def after_failure(self, error: UsageError) -> Self:
        """Return the same reading with the failure; its figures, if any, are stale."""
        return self.model_copy(
            update={"status": error.code.status, "stale": self.has_figures, "error": error}
        )

    @property
    def _period(self) -> Period | None:
        if self.starts_at is None or self.renews_at is None or self.fetched_at is None:
            return None
        return Period(starts_at=self.starts_at, renews_at=self.renews_at, now=self.fetched_at)

    @property
    def lasts(self) -> bool:
        """Whether something will be left at the renewal, at the average pace of the period so far."""
        figures = Figures(total=self.total_quota, remaining=self.remaining_quota, used=self.used_quota)
        if self._period is None or self.projected_exhaustion_at is not None:
            return False
        return has_pace(figures, self._period)

    @property
    def has_figures(self) -> bool:
        """Whether a reading was taken, now or earlier."""
        return self.fetched_at is not None

    @property
    def unlimited(self) -> bool:
        """Whether the plan has no limit: the level is `ok` without a remainder."""
        return self.level is Level.OK and self.remaining_quota is None


class UsageReport(_Document):
    """The answer of `GET /integrations/usage`: every reading, in the order of the accounts."""

    integrations: Sequence[Reading]

    @property
    def all_active(self) -> bool:
        """Whether every reading's last fetch succeeded."""
        return all(reading.status is Status.ACTIVE for reading in self.integrations)


def usage_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document; all fields are required, and others are allowed."""
    schema = UsageReport.model_json_schema(mode="serialization")
    for described in (schema, *schema["$defs"].values()):
        described.pop("additionalProperties", None)
        for field in described.get("properties", {}).values():
            field.pop("title", None)
            field.pop("default", None)  # each is always sent
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
