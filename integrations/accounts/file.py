"""The form of the providers' file: accounts, and the operator's own services."""

import re
from datetime import time
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainValidator

from integrations.files.yaml_model import StrictModel
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.fields import Word
from integrations.providers.renewal import time_of_day

ONLY: Final = ""
"""The quota's name in a mapping that is made of a plain value, for an account with one quota."""

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_MOST: Final = 10**12


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
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 31:  # noqa: PLR2004 - days
        raise ValueError("expected a day of the month, 1 to 31 (the last day)")
    return value


def _time(value: object) -> time:
    try:
        return time_of_day(value)
    except ValueError:
        raise ValueError("expected a time in UTC, as HH:MM") from None


def _by_quota(value: object) -> object:
    return value if isinstance(value, dict) else {ONLY: value}


Value = Annotated[
    str, BeforeValidator(_value, json_schema_input_type=str | int), Field(min_length=1, max_length=200)
]
Total = Annotated[Decimal, PlainValidator(_total, json_schema_input_type=float)]
Day = Annotated[int, PlainValidator(_day, json_schema_input_type=int)]
Time = Annotated[time, PlainValidator(_time, json_schema_input_type=str)]


class Account(StrictModel):
    """An account, which is a card, or a card for each quota."""

    service: str = Field(description="a service's name")
    name: Word | None = Field(default=None, description="a name for this account, up to 60 characters")
    key: Annotated[tuple[str, ...], PlainValidator(_variables, json_schema_input_type=str | list[str])] = (
        Field(default=(), description="the name of an environment variable, or a list of names")
    )
    values: dict[str, Value] = Field(default={}, description="texts for the definition's placeholders")
    total: Annotated[
        dict[str, Total], BeforeValidator(_by_quota, json_schema_input_type=float | dict[str, float])
    ] = Field(default={}, description="a positive number, or one for each quota's name")
    renewal_day: Annotated[
        dict[str, Day], BeforeValidator(_by_quota, json_schema_input_type=int | dict[str, int])
    ] = Field(default={}, description="a day of the month, or one for each quota's name")
    renewal_time: Annotated[
        dict[str, Time], BeforeValidator(_by_quota, json_schema_input_type=str | dict[str, str])
    ] = Field(default={}, description="a time in UTC as HH:MM, or one for each quota's name")
    allow_http: bool = Field(default=False, description="true or false")


class ProvidersFile(StrictModel):
    """The accounts whose quotas are shown, in this order, and your own services."""

    accounts: list[Account] = Field(description="a list of entries such as - service: deepl")
    services: dict[str, Definition] = Field(default={}, description="definitions by name")
