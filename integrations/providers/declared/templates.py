"""Texts of a request with `{placeholders}`: an account's values, and the current month in UTC."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

KEY_AS_USER: Final = "{key}"
"""As the user name of HTTP Basic: the key is the user name, and the password is empty."""

_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*(?::[a-z]+)?)\}")
_BUILT_IN: Final[Mapping[str, Callable[[datetime], str]]] = {
    "month_start:unix": lambda month: str(int(month.timestamp())),
    "month_start:iso": lambda month: f"{month:%Y-%m-%dT%H:%M:%SZ}",
    "month_start:date": lambda month: f"{month:%Y-%m-%d}",
    "year": lambda month: str(month.year),
    "month": lambda month: str(month.month),
}
_RESERVED: Final = "key"


def names_in(template: str) -> set[str]:
    """Return the placeholders of a text that an account must fill."""
    return set(_PLACEHOLDER.findall(template)) - _BUILT_IN.keys()


def names_in_json(value: JsonValue) -> set[str]:
    """Return the placeholders of all texts in a JSON document that an account must fill."""
    if isinstance(value, str):
        return names_in(value)
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(names_in_json, entries))


def refuse_unknown(names: set[str]) -> None:
    """Refuse placeholders that no account can fill.

    Raises:
        ValueError: the text for the operator.
    """
    if _RESERVED in names:
        raise ValueError("expected no {key}: request.key is the place of the key")
    if wrong := sorted(name for name in names if ":" in name):
        known = ", ".join(f"{{{name}}}" for name in _BUILT_IN)
        raise ValueError(f"unknown placeholder {{{wrong[0]}}}: expected one of {known}")


def check(template: object) -> object:
    """Return a template as it is.

    Raises:
        ValueError: it has a brace that belongs to no placeholder, or a placeholder that no account can fill.
    """
    if isinstance(template, str):
        if set(_PLACEHOLDER.sub("", template)) & set("{}"):
            raise ValueError("expected placeholders such as {account_id}, and no other braces")
        refuse_unknown(names_in(template))
    return template


def check_json(value: JsonValue) -> JsonValue:
    """Return a JSON document as it is. Other braces are left alone there: GraphQL is full of them.

    Raises:
        ValueError: it has a placeholder that no account can fill.
    """
    refuse_unknown(names_in_json(value))
    return value


def all_values(values: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Return an account's values together with those of the current month."""
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return {**values, **{name: value(month) for name, value in _BUILT_IN.items()}}


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return a text with its placeholders replaced."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def fill_json(value: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """Return a JSON document with the placeholders of its texts replaced."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, dict):
        return {key: fill_json(entry, values) for key, entry in value.items()}
    return [fill_json(entry, values) for entry in value] if isinstance(value, list) else value
