"""A service's definition: its request, its error messages, and the places of the figures in its answer."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from integrations.files.yaml_model import StrictModel
from integrations.providers.declared.fields import (
    LONGEST,
    Address,
    AnyPathField,
    HeaderName,
    PathField,
    Scalar,
    Scale,
    Unit,
    Word,
    Zero,
    path_in_mapping,
)
from integrations.providers.declared.paths import Path
from integrations.providers.declared.request_rule import RequestRule
from integrations.quota.errors import ErrorCode

_WORD: TypeAdapter[str] = TypeAdapter(Word)


def _mapping_of_path(value: object) -> object:
    return {"path": value} if isinstance(value, str | list) else value


def _name(value: object) -> str | Path:
    path = path_in_mapping(value)
    if path is not None:
        return path
    try:
        return _WORD.validate_python(value, strict=True)
    except ValidationError:
        raise ValueError("expected a name such as Searches, or {path: …} together with each") from None


class Checked(StrictModel):
    """When a definition was compared with its sources, and which these are."""

    day: date = Field(alias="date", description="a date such as 2026-11-23")
    by: Literal["documentation", "recorded answer", "client code"] = Field(
        description="one of: documentation, recorded answer, client code"
    )
    sources: list[Address] = Field(default=[], description="a list of addresses, https")


class Condition(StrictModel):
    """A test of one value of the answer."""

    path: PathField | None = Field(default=None, description="a path such as error.code")
    equals: Scalar = Field(default=None, description="a text, a number, true, false or null")
    not_equals: Scalar = Field(default=None, description="a text, a number, true, false or null")
    starts_with: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="the beginning of a text"
    )

    @property
    def tests(self) -> set[str]:
        """The tests that are stated."""
        return {"equals", "not_equals", "starts_with"} & self.model_fields_set


class QuotaCondition(Condition):
    """A condition on a quota: there is no limit, or there is a card at all."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.path is None or len(self.tests) != 1:
            raise ValueError("expected path together with one of equals, not_equals, starts_with")
        return self


class ErrorRule(Condition):
    """The sign of one kind of failure."""

    status: Annotated[int, Field(ge=100, le=599)] | None = Field(
        default=None, description="an HTTP status, 100 to 599"
    )
    codes: dict[str, Annotated[ErrorCode, Field(strict=False)]] = Field(
        default={}, description="the service's codes, each with one of: " + ", ".join(ErrorCode)
    )
    code: Annotated[ErrorCode, Field(strict=False)] | None = Field(
        default=None, description="one of: " + ", ".join(ErrorCode)
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.code is None) == (not self.codes):
            raise ValueError("expected either code or codes")
        if (self.path is not None) != (bool(self.tests) or bool(self.codes)):
            raise ValueError("expected path together with equals, not_equals, starts_with or codes")
        if len(self.tests) + bool(self.codes) > 1:
            raise ValueError("expected only one of equals, not_equals, starts_with, codes")
        if self.status is None and self.path is None:
            raise ValueError("expected status, path or both")
        return self


class Source(StrictModel):
    """The place of a value: in the body or in a header."""

    path: PathField | None = Field(default=None, description="a path such as data.credits")
    first: list[PathField] | None = Field(
        default=None, min_length=2, description="a list of paths; the first that finds a value is read"
    )
    header: HeaderName | None = Field(default=None, description="the name of a header")
    item: Annotated[int, Field(ge=1, le=20)] | None = Field(
        default=None, description="which of a header's values between commas, from 1"
    )
    text: bool = Field(default=False, description="true if the number is a text")
    none: list[Scalar] = Field(default=[], description='the values that count as null, such as [0, -1, ""]')
    optional: bool = Field(default=False, description="true if it may be absent or null: it is unknown then")

    @model_validator(mode="after")
    def _item_of_a_header(self) -> Self:
        if self.item is not None and self.header is None:
            raise ValueError("expected item together with header only")
        return self


class FigureRule(Source):
    """A figure."""

    sum: list[AnyPathField] | None = Field(
        default=None, min_length=1, description="a list of paths, which may have [*]"
    )
    scale: Scale | None = Field(default=None, description='a decimal number such as "-0.01"')
    unlimited: list[Scalar] = Field(default=[], description="the values that mean: no limit")
    absent: Zero | None = Field(default=None, description="0: a field that is left out is 0")
    empty: Zero | None = Field(default=None, description="0: an empty list adds 0 to the sum")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(source is not None for source in (self.path, self.first, self.header, self.sum)) != 1:
            raise ValueError("expected exactly one of path, first, header, sum")
        paths = self.sum or ([] if self.path is None else [self.path])
        if self.absent is not None and not (paths and all(path.ends_in_key for path in paths)):
            raise ValueError("expected absent together with a path or a sum whose paths end in a key")
        if self.empty is not None and not any(path.has_every for path in paths):
            raise ValueError("expected empty together with a sum with [*] only")
        return self


class RenewalRule(Source):
    """The moment at which a quota is filled again."""

    format: Literal["iso", "date", "epoch", "epoch_ms", "seconds", "hh:mm:ss", "next_month"] = Field(
        description="one of: iso, date, epoch, epoch_ms, seconds, hh:mm:ss, next_month"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sources = sum(source is not None for source in (self.path, self.first, self.header))
        if self.format == "next_month" and sources:
            raise ValueError("expected no path with next_month: it is the start of the next month in UTC")
        if self.format != "next_month" and sources != 1:
            raise ValueError("expected exactly one of path, first, header")
        if self.text and self.format not in {"epoch", "epoch_ms", "seconds"}:
            raise ValueError("expected text together with epoch, epoch_ms or seconds only")
        return self


FigureField = Annotated[
    FigureRule, BeforeValidator(_mapping_of_path, json_schema_input_type=str | list[str | int] | FigureRule)
]
QuotaName = Annotated[str | Path, PlainValidator(_name, json_schema_input_type=str | dict[str, Any])]


class QuotaRule(StrictModel):
    """A quota, which is a card; or a quota for each element of a list."""

    each: PathField | None = Field(default=None, description="a path to a list: a card for each element")
    name: QuotaName | None = Field(default=None, description="a name such as Searches")
    unit: Unit = Field(description="a word in the plural such as credits, or {path: …}")
    used: FigureField | None = Field(default=None, description="a path, or a mapping")
    remaining: FigureField | None = Field(default=None, description="a path, or a mapping")
    total: FigureField | None = Field(default=None, description="a path, or a mapping")
    unlimited: QuotaCondition | None = Field(
        default=None, description="a mapping such as {path: plan.unlimited, equals: true}"
    )
    only_if: QuotaCondition | None = Field(
        default=None, description="a mapping such as {path: payment, equals: prepaid}"
    )
    renews_at: RenewalRule | None = Field(default=None, description="a mapping with path and format")
    optional: bool = Field(default=False, description="true or false")
    at_zero: Literal["absent", "hidden"] | None = Field(
        default=None, description="absent (no card at 0) or hidden (no card at 0 while another is not at 0)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.used is None and self.remaining is None:
            raise ValueError("expected used or remaining")
        if self.used is not None and self.used.unlimited:
            raise ValueError("expected unlimited at total or remaining only")
        if self.each is not None and not isinstance(self.name, Path):
            raise ValueError("expected name: {path: …} together with each: the field that names an element")
        if self.each is None and isinstance(self.name, Path):
            raise ValueError("expected a name such as Searches, or each together with name: {path: …}")
        return self

    @property
    def fixed_name(self) -> str | None:
        """The name that the definition states; None if there is none, or if the answer states it."""
        return self.name if isinstance(self.name, str) else None

    @property
    def is_certain(self) -> bool:
        """Whether every good answer has this quota."""
        return not self.optional and self.at_zero is None and self.only_if is None

    @property
    def figures(self) -> dict[str, FigureRule]:
        """The rules of the stated figures, by name."""
        named = {"used": self.used, "remaining": self.remaining, "total": self.total}
        return {name: rule for name, rule in named.items() if rule is not None}

    @property
    def states_total(self) -> bool:
        """Whether every answer states the total, directly or by what is used and left."""
        if self.total is not None and not self.total.optional:
            return True
        parts = (self.used, self.remaining)
        return all(part is not None and not part.optional for part in parts)


class Definition(StrictModel):
    """A service."""

    label: Word = Field(description="the service's name for people, up to 60 characters")
    icon: Annotated[str, Field(pattern=r"^:material/[a-z0-9_]{1,60}:$")] = Field(
        default=":material/api:", description='a Material symbol such as ":material/payments:"'
    )
    docs: Address | None = Field(
        default=None, description="the address of the service's documentation, https"
    )
    console: Address | None = Field(default=None, description="the address of the page for top-ups, https")
    checked: Checked | None = Field(
        default=None, description="{date: 2026-11-23, by: documentation, sources: [https://…]}"
    )
    note: Annotated[str, Field(max_length=LONGEST)] | None = Field(
        default=None, description="a sentence for operators"
    )
    request: RequestRule = Field(description="a mapping with url and key")
    errors: list[ErrorRule] = Field(default=[], description="a list of rules")
    quotas: list[QuotaRule] = Field(min_length=1, description="a list of at least one quota")

    def variables(self, service: str) -> tuple[str, ...]:
        """Return the default environment variables of the keys.

        Args:
            service: the service's name, in lower case with hyphens.
        """
        word = service.upper().replace("-", "_")
        return tuple(f"{word}_{placement.secret}" for placement in self.request.key)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [quota.fixed_name for quota in self.quotas if quota.each is None]
        if len(set(names)) < len(names):
            raise ValueError("expected a name of its own for each quota")
        return self
