"""Checks an account against its service. Each defect is a place within the account, and a sentence."""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from integrations.accounts.file import ONLY, Account
from integrations.files.yaml_file import Location
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.templates import names_in
from integrations.settings import LOOPBACK_HOSTS

Defect = tuple[Location, str]

_OF_ANY_SERVICE: Final = ("service", "name", "low", "critical", "note", "console")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")


def python_defects(account: Account) -> Iterator[Defect]:
    """Yield the defects of an account at a provider in Python, which has its own settings and one quota."""
    for field in sorted(account.model_fields_set - set(_OF_ANY_SERVICE)):
        fields = ", ".join(_OF_ANY_SERVICE)
        yield (field,), f"expected only {fields} here: {account.service} is set by environment variables"
    for field in ("low", "critical"):
        yield from _quota_defects(field, getattr(account, field))
    yield from _floor_defects(account)
    if account.name is not None and re.search("[A-Za-z0-9]", account.name) is None:
        yield (
            ("name",),
            "expected a letter from A to Z or a digit: the account's variables are named after it",
        )


def declared_defects(account: Account, definition: Definition) -> Iterator[Defect]:
    """Yield the defects of an account at a declared service."""
    yield from _key_defects(account, definition)
    yield from _value_defects(account, definition)
    yield from _scheme_defects(account, definition)
    for field in ("total", "low", "critical", "renewal_day", "renewal_time"):
        yield from _quota_defects(field, getattr(account, field), definition)
    yield from _floor_defects(account)
    for quota in account.renewal_time.keys() - account.renewal_day.keys():
        yield ("renewal_time", quota), "expected a renewal_day with it"


def _key_defects(account: Account, definition: Definition) -> Iterator[Defect]:
    needed = len(definition.request.key)
    if account.key and len(account.key) != needed:
        yield (
            ("key",),
            f"expected {needed} {'name' if needed == 1 else 'names'} of variables, as the service has keys",
        )
    if len(set(account.key)) < len(account.key):
        yield ("key",), "expected a variable of its own for each key"


def _value_defects(account: Account, definition: Definition) -> Iterator[Defect]:
    needed = definition.request.placeholders
    for name in sorted(needed - account.values.keys() - definition.request.values.keys()):
        yield ("values",), f"expected a value for {name}"
    for name in sorted(account.values.keys() - needed):
        known = ", ".join(sorted(needed)) or "no values"
        yield ("values", name), f"unknown placeholder: expected {known}"
    for name in sorted(_in_headers(definition) & account.values.keys()):
        if not account.values[name].isascii():
            yield ("values", name), "expected ASCII, as it is sent in a header"
    host = account.values.get(_host_placeholder(definition) or "")
    if host is not None and _HOST.fullmatch(host) is None:
        name = _host_placeholder(definition) or ""
        yield ("values", name), "expected a host such as proxy.example.com or 10.0.0.5:4000"


def _in_headers(definition: Definition) -> set[str]:
    return set().union(*map(names_in, definition.request.headers.values()))


def _host_placeholder(definition: Definition) -> str | None:
    """Return the placeholder that is the whole host, or None."""
    return next(iter(names_in(_host_of(definition))), None)


def _host_of(definition: Definition) -> str:
    return re.split("[/?]", definition.request.url.partition("://")[2], maxsplit=1)[0]


def _scheme_defects(account: Account, definition: Definition) -> Iterator[Defect]:
    https = definition.request.url.startswith("https:")
    placeholder = _host_placeholder(definition)
    if account.allow_http and https and (placeholder is None or placeholder not in account.values):
        yield ("allow_http",), "expected no such key: the service has a fixed address with https"
    stated = definition.request.values | account.values
    host = stated.get(placeholder) if placeholder else _host_of(definition)
    if not https and not account.allow_http and host is not None and not _is_loopback(host):
        yield (), "expected allow_http: true, since the definition's address begins with http://"


def _is_loopback(host: str) -> bool:
    return urlsplit(f"//{host}").hostname in LOOPBACK_HOSTS


def _floor_defects(account: Account) -> Iterator[Defect]:
    for name, floors in account.floors.items():
        if floors.low is not None and floors.critical is not None and floors.critical >= floors.low:
            yield ("critical", name or ONLY), "expected a number below low"


def _quota_defects(
    field: str, stated: Mapping[str, object], definition: Definition | None = None
) -> Iterator[Defect]:
    """Yield the quotas that the definition does not have; without a definition there is one quota, without a name."""
    quotas = definition.quotas if definition else ()
    names = [quota.fixed_name for quota in quotas] or [None]
    several = ", ".join(f"{name}: …" for name in names if name)
    any_name = any(quota.each for quota in quotas)  # the answer names its quotas
    for name in stated:
        if name == ONLY and (any_name or len(names) > 1):
            yield (field,), f"expected a mapping by quota: {{{several or 'NAME: …'}}}"
        elif name != ONLY and name not in names and not any_name:
            yield (
                (field, name),
                f"unknown quota: expected {several or 'a plain value, as there is one quota'}",
            )
