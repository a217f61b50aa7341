"""The models of the providers' file: accounts, and the operator's own services."""

import re
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator

from integrations.files.yaml_model import StrictModel
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.fields import Word
from integrations.providers.renewal import time_of_day
from integrations.quota.rules import Floors

ONLY: Final = ""
"""The quota's name in a mapping that is made of a plain value, for an account with one quota."""

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_MOST: Final = 10**12
_AMOUNTS: Final = "a positive number, or one for each quota's name"

Stated = TypeVar("Stated")


def _variables(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and _VARIABLE.fullmatch(name) for name in names):
        raise ValueError(
            "expected the NAME of an environment variable (capital letters, digits, _), never a key itself"
        )
    return tuple(names)


def _value(value: object) -> object:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and (not text.isprintable() or text.strip() != text or text in {".", ".."}):
        raise ValueError("expected a text of one line")
    return text


def _total(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value <= _MOST:
        raise ValueError("expected a positive number up to 10^12")
    return Decimal(value)


def _day(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 31:
        raise ValueError("expected a day of the month, 1 to 31 (the last day)")
    return value


def _time(value: object) -> time:
    try:
        return time_of_day(value)
    except ValueError:
        raise ValueError("expected a time in UTC, as HH:MM") from None


def _line(value: object) -> object:
    if isinstance(value, str) and (not value.isprintable() or value.strip() != value):
        raise ValueError("expected a sentence of one line")
    return value


def _by_quota(value: object) -> object:
    return value if isinstance(value, dict) else {ONLY: value}


Value = Annotated[
    str, BeforeValidator(_value, json_schema_input_type=str | int), Field(min_length=1, max_length=200)
]
Total = Annotated[Decimal, PlainValidator(_total, json_schema_input_type=float)]
Day = Annotated[int, PlainValidator(_day, json_schema_input_type=int)]
Time = Annotated[time, PlainValidator(_time, json_schema_input_type=str)]
Amounts = Annotated[
    dict[str, Total], BeforeValidator(_by_quota, json_schema_input_type=float | dict[str, float])
]


def stated(by_quota: Mapping[str, Stated], name: str | None) -> Stated | None:
    """Return an account's value for a quota; a plain value is for the only one."""
    return by_quota.get(ONLY) or by_quota.get(name or ONLY)


class Account(StrictModel):
    """An account, which is a card, or a card for each quota."""

    service: str = Field(description="a service's name")
    name: Word | None = Field(default=None, description="a name for this account, up to 60 characters")
    key: Annotated[tuple[str, ...], PlainValidator(_variables, json_schema_input_type=str | list[str])] = (
        Field(default=(), description="the name of an environment variable, or a list of names")
    )
    values: dict[str, Value] = Field(default={}, description="texts for the definition's placeholders")
    total: Amounts = Field(default={}, description=_AMOUNTS)
    low: Amounts = Field(default={}, description=_AMOUNTS)
    critical: Amounts = Field(default={}, description=_AMOUNTS)
    renewal_day: Annotated[
        dict[str, Day], BeforeValidator(_by_quota, json_schema_input_type=int | dict[str, int])
    ] = Field(default={}, description="a day of the month, or one for each quota's name")
    renewal_time: Annotated[
        dict[str, Time], BeforeValidator(_by_quota, json_schema_input_type=str | dict[str, str])
    ] = Field(default={}, description="a time in UTC as HH:MM, or one for each quota's name")
    allow_http: bool = Field(default=False, description="true or false")
    note: Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=300)] | None = Field(
        default=None, description="a sentence such as the account's owner, up to 300 characters"
    )
    console: Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")] | None = Field(
        default=None, description="the address of the page for top-ups, https"
    )

    @property
    def floors(self) -> dict[str | None, Floors]:
        """The floors by the quota's name; None: those of the only quota."""
        return {
            name or None: Floors(low=stated(self.low, name), critical=stated(self.critical, name))
            for name in self.low | self.critical
        }


class ProvidersFile(StrictModel):
    """The accounts whose quotas are shown, in this order, and your own services."""

    order: Literal["urgency", "file"] = Field(
        default="urgency", description="urgency or file: the order of the cards on the page"
    )
    accounts: list[Account] = Field(description="a list of entries such as - service: deepl")
    services: dict[str, Definition] = Field(default={}, description="definitions by name")
