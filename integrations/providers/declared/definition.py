"""A service's definition: how to ask it, what its failures look like, and where the figures stand."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from integrations.files.yaml_model import Entry
from integrations.providers.declared.fields import (
    LONGEST,
    Duration,
    HeaderName,
    HeaderValue,
    PathField,
    Scalar,
    Scale,
    Template,
    Unit,
    Url,
    Word,
    names_in,
)
from integrations.quota.errors import ErrorCode


def _mapping_of_path(value: object) -> object:
    return {"path": value} if isinstance(value, str | list) else value


def _list_of_one(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class Checked(Entry):
    """When, and by what, a definition is known to be right."""

    day: date = Field(alias="date", description="a date such as 2026-11-23")
    by: Literal["documentation", "recorded answer", "client code"] = Field(
        description="one of: documentation, recorded answer, client code"
    )


class Placement(Entry):
    """Where a secret stands in the request."""

    header: HeaderName | None = Field(default=None, description="the name of a header")
    prefix: Annotated[str, Field(pattern=r"^[ -~]{0,50}$")] = Field(
        default="", description='what stands before the key, such as "Bearer "'
    )
    query: HeaderName | None = Field(default=None, description="the name of a query parameter")
    basic: Template | None = Field(default=None, description='the user name, such as "{account_sid}"')
    secret: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,60}$")] = Field(
        default="API_KEY", description="the end of the variable's name, such as API_SECRET"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.header, self.query, self.basic)) != 1:
            raise ValueError("expected exactly one of header, query, basic")
        if self.prefix and self.header is None:
            raise ValueError("expected prefix beside header only")
        return self


class RequestRule(Entry):
    """How the service is asked."""

    url: Url = Field(description="an address that begins with https://")
    values: dict[str, Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default={}, description="texts for placeholders that an account may leave out"
    )
    method: Literal["GET", "POST"] = Field(default="GET", description="GET or POST")
    query: dict[Annotated[str, Field(min_length=1)], Template] = Field(
        default={}, description="names and texts; quote what looks like a number"
    )
    headers: dict[HeaderName, HeaderValue] = Field(default={}, description="names and texts in ASCII")
    body: dict[str, JsonValue] | None = Field(
        default=None, alias="json", description="a mapping, beside method: POST"
    )
    key: Annotated[
        list[Placement], BeforeValidator(_list_of_one, json_schema_input_type=Placement | list[Placement])
    ] = Field(default=[], description="{header: NAME}, {query: NAME}, {basic: USER} or a list of these")
    every: Duration | None = Field(default=None, description="a time such as 1h, 10m or 30s")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.body is not None and self.method != "POST":
            raise ValueError("expected method: POST beside json")
        if len({placement.secret for placement in self.key}) < len(self.key):
            raise ValueError("expected a secret: of its own for each key, such as API_SECRET")
        if not self.values.keys() <= self.placeholders:
            raise ValueError("expected values for placeholders of the request alone")
        return self

    @property
    def placeholders(self) -> set[str]:
        """What an account must state under `values`."""
        templates = [self.url, *self.query.values(), *(placement.basic or "" for placement in self.key)]
        return set().union(*map(names_in, templates))


class ErrorRule(Entry):
    """How one failure is told from a good answer."""

    status: Annotated[int, Field(ge=100, le=599)] | None = Field(
        default=None, description="an HTTP status, 100 to 599"
    )
    path: PathField | None = Field(default=None, description="a path such as error.code")
    equals: Scalar = Field(default=None, description="a text, a number, true, false or null")
    codes: dict[str, Annotated[ErrorCode, Field(strict=False)]] = Field(
        default={}, description="the service's codes, each with one of: " + ", ".join(ErrorCode)
    )
    code: Annotated[ErrorCode, Field(strict=False)] | None = Field(
        default=None, description="one of: " + ", ".join(ErrorCode)
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        by_value = "equals" in self.model_fields_set
        if (self.code is None) == (not self.codes):
            raise ValueError("expected either code or codes")
        if (self.path is not None) != (by_value or bool(self.codes)):
            raise ValueError("expected path together with equals or codes")
        if by_value and self.codes:
            raise ValueError("expected code beside equals, not codes")
        if self.status is None and self.path is None:
            raise ValueError("expected status, path or both")
        return self


class Source(Entry):
    """Where a value stands: in the body or in a header."""

    path: PathField | None = Field(default=None, description="a path such as data.credits")
    header: HeaderName | None = Field(default=None, description="the name of a header")
    item: Annotated[int, Field(ge=1, le=20)] | None = Field(
        default=None, description="which of a header's values between commas, from 1"
    )

    @model_validator(mode="after")
    def _item_of_a_header(self) -> Self:
        if self.item is not None and self.header is None:
            raise ValueError("expected item beside header only")
        return self


class FigureRule(Source):
    """A figure."""

    sum: list[PathField] | None = Field(default=None, min_length=1, description="a list of paths")
    text: bool = Field(default=False, description="true where the number is a text")
    scale: Scale | None = Field(default=None, description='a decimal number such as "-0.01"')
    unlimited: list[Scalar] = Field(default=[], description="the values that mean: no limit")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.path, self.header, self.sum)) != 1:
            raise ValueError("expected exactly one of path, header, sum")
        if self.sum is not None and self.unlimited:
            raise ValueError("expected unlimited beside path or header only")
        return self


class RenewalRule(Source):
    """The moment at which a quota is filled again."""

    format: Literal["iso", "date", "epoch", "epoch_ms", "seconds", "hh:mm:ss"] = Field(
        description="one of: iso, date, epoch, epoch_ms, seconds, hh:mm:ss"
    )
    optional: bool = Field(default=False, description="true or false")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.header is None):
            raise ValueError("expected exactly one of path, header")
        return self


FigureField = Annotated[
    FigureRule, BeforeValidator(_mapping_of_path, json_schema_input_type=str | list[str | int] | FigureRule)
]


class QuotaRule(Entry):
    """One quota: a card."""

    name: Word | None = Field(default=None, description="a name such as Searches")
    unit: Unit = Field(description="a word in the plural such as credits, or {path: …}")
    used: FigureField | None = Field(default=None, description="a path, or a mapping")
    remaining: FigureField | None = Field(default=None, description="a path, or a mapping")
    total: FigureField | None = Field(default=None, description="a path, or a mapping")
    renews_at: RenewalRule | None = Field(default=None, description="a mapping with path and format")
    optional: bool = Field(default=False, description="true or false")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.used is None and self.remaining is None:
            raise ValueError("expected used or remaining")
        if self.used is not None and self.used.unlimited:
            raise ValueError("expected unlimited beside total or remaining only")
        return self

    @property
    def figures(self) -> dict[str, FigureRule]:
        """The figures that are read, by what they are."""
        named = {"used": self.used, "remaining": self.remaining, "total": self.total}
        return {name: rule for name, rule in named.items() if rule is not None}

    @property
    def tells_total(self) -> bool:
        """Whether the answer tells the total, itself or by what is used and left."""
        return self.total is not None or len(self.figures) > 1


class Definition(Entry):
    """A service."""

    label: Word = Field(description="the service's name for people, up to 60 characters")
    icon: Annotated[str, Field(pattern=r"^:material/[a-z0-9_]{1,60}:$")] = Field(
        default=":material/api:", description='a Material symbol such as ":material/payments:"'
    )
    docs: Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")] | None = Field(
        default=None, description="the address of the service's documentation, https"
    )
    console: Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")] | None = Field(
        default=None, description="the address of the page where a person tops up, https"
    )
    checked: Checked | None = Field(default=None, description="{date: 2026-11-23, by: documentation}")
    note: Annotated[str, Field(max_length=LONGEST)] | None = Field(
        default=None, description="a sentence for operators"
    )
    request: RequestRule = Field(description="a mapping with url and key")
    errors: list[ErrorRule] = Field(default=[], description="a list of rules")
    quotas: list[QuotaRule] = Field(min_length=1, description="a list of at least one quota")

    def variables(self, service: str) -> tuple[str, ...]:
        """The environment variables of the keys, where an account names no others.

        Args:
            service: the service's name, in lower case with hyphens.
        """
        word = service.upper().replace("-", "_")
        return tuple(f"{word}_{placement.secret}" for placement in self.request.key)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len({quota.name for quota in self.quotas}) < len(self.quotas):
            raise ValueError("expected a name of its own for each quota")
        return self
