"""The values of a definition's fields: addresses, times, numbers, words and paths, each checked on its own."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, PlainValidator

from integrations.providers.declared import templates
from integrations.providers.declared.paths import DECIMAL, Path

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\{[a-z][a-z0-9_]*\}|[A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?:[/?][!-~]*)?"
)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
LONGEST: Final = 500


def _one_value(path: Path) -> Path:
    if path.has_every:
        raise ValueError("expected [*] in the paths of a sum only")
    return path


AnyPathField = Annotated[Path, PlainValidator(Path.parse, json_schema_input_type=str | list[str | int])]
"""A path that may have `[*]`."""

PathField = Annotated[AnyPathField, AfterValidator(_one_value)]
"""A path to one value."""

Scalar = str | bool | int | Decimal | None
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
Address = Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")]
Word = Annotated[str, Field(pattern=r"^[^\s\p{C}]([^\p{C}\p{Z}]| ){0,58}[^\s\p{C}]$|^[^\s\p{C}]$")]
"""A line of up to 60 printable characters, without spaces around it."""


def _url(text: object) -> object:
    if isinstance(text, str):
        match = _URL.fullmatch(text)
        if len(text) > LONGEST or "#" in text or match is None or _has_built_in(match["host"]):
            raise ValueError(
                "expected an address such as https://api.example.com/v1/usage; a {placeholder} may stand in the "
                "path, in the query or for the whole host"
            )
    return templates.check(text)


def _has_built_in(host: str) -> bool:
    return "{" in host and not templates.names_in(host)


def _duration(text: object) -> timedelta:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("expected a time such as 1h, 10m or 30s")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _decimal(text: object) -> Decimal:
    if not isinstance(text, str | int | Decimal) or not DECIMAL.fullmatch(str(text)):  # a bool reads "True"
        raise ValueError('expected a decimal number such as "-0.01"')
    return Decimal(text)


def path_in_mapping(value: object) -> Path | None:
    """Return the path of `{path: …}`; None for anything else.

    Raises:
        ValueError: it is no path to one value.
    """
    if isinstance(value, dict) and set(value) == {"path"}:
        return _one_value(Path.parse(value["path"]))
    return None


def _unit(value: object) -> str | Path:
    path = path_in_mapping(value)
    if path is not None:
        return path
    if isinstance(value, str) and value.strip() == value and value.isprintable() and 0 < len(value) <= 20:
        return value
    raise ValueError("expected a word in the plural such as credits, or {path: …}")


def _zero(value: object) -> object:
    if isinstance(value, bool):  # false would pass as 0
        raise ValueError("expected 0")
    return value


def _basic(text: object) -> object:
    return text if text == templates.KEY_AS_USER else templates.check(text)


Template = Annotated[str, BeforeValidator(templates.check), Field(max_length=LONGEST)]
HeaderTemplate = Annotated[
    str, BeforeValidator(templates.check), Field(pattern=r"^[!-~]([ -~]{0,498}[!-~])?$")
]
JsonTemplate = Annotated[dict[str, JsonValue], AfterValidator(templates.check_json)]
BasicUser = Annotated[str, BeforeValidator(_basic), Field(max_length=LONGEST)]
Url = Annotated[str, BeforeValidator(_url)]
Duration = Annotated[timedelta, PlainValidator(_duration, json_schema_input_type=str)]
Zero = Annotated[Literal[0], BeforeValidator(_zero)]
Scale = Annotated[Decimal, PlainValidator(_decimal, json_schema_input_type=str)]
Unit = Annotated[str | Path, PlainValidator(_unit, json_schema_input_type=str | dict[str, Any])]
