"""The values of a definition's fields: addresses, times, numbers, words and paths, each checked by itself."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainValidator

from integrations.providers.declared.paths import Path

PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
DECIMAL: Final = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,60})?")
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\{[a-z][a-z0-9_]*\}|[A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?:[/?][!-~]*)?"
)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
LONGEST: Final = 500

PathField = Annotated[Path, PlainValidator(Path.parse, json_schema_input_type=str | list[str | int])]
Scalar = str | bool | int | Decimal | None
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,498}[!-~])?$")]
Word = Annotated[str, Field(pattern=r"^[^\s\p{C}]([^\p{C}\p{Z}]| ){0,58}[^\s\p{C}]$|^[^\s\p{C}]$")]
"""A line of up to 60 printable characters, without spaces around it."""


def names_in(template: str) -> set[str]:
    """The placeholders of a text."""
    return set(PLACEHOLDER.findall(template))


def _template(text: object) -> object:
    if isinstance(text, str) and set(PLACEHOLDER.sub("", text)) & set("{}"):
        raise ValueError("expected placeholders such as {account_id}, and no other braces")
    return text


def _url(text: object) -> object:
    if isinstance(text, str) and (len(text) > LONGEST or "#" in text or _URL.fullmatch(text) is None):
        raise ValueError(
            "expected an address such as https://api.example.com/v1/usage; a {placeholder} may stand in the path, "
            "in the query or for the whole host"
        )
    return _template(text)


def _duration(text: object) -> timedelta:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("expected a time such as 1h, 10m or 30s")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _decimal(text: object) -> Decimal:
    if not isinstance(text, str | int | Decimal) or not DECIMAL.fullmatch(str(text)):  # a bool reads "True"
        raise ValueError('expected a decimal number such as "-0.01"')
    return Decimal(text)


def _unit(value: object) -> str | Path:
    if isinstance(value, dict) and set(value) == {"path"}:
        return Path.parse(value["path"])
    if isinstance(value, str) and value.strip() == value and value.isprintable() and 0 < len(value) <= 20:  # noqa: PLR2004
        return value
    raise ValueError("expected a word in the plural such as credits, or {path: …}")


Template = Annotated[str, BeforeValidator(_template), Field(max_length=LONGEST)]
Url = Annotated[str, BeforeValidator(_url)]
Duration = Annotated[timedelta, PlainValidator(_duration, json_schema_input_type=str)]
Scale = Annotated[Decimal, PlainValidator(_decimal, json_schema_input_type=str)]
Unit = Annotated[str | Path, PlainValidator(_unit, json_schema_input_type=str | dict[str, Any])]
