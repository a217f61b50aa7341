"""From the providers' file to the providers, or to every defect of the file with its line."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from integrations.accounts import catalogue
from integrations.accounts.file import Account, ProvidersFile, stated
from integrations.accounts.rules import Defect, declared_defects, python_defects
from integrations.files import yaml_file
from integrations.files.yaml_file import YamlDocument, YamlFileError
from integrations.files.yaml_model import defects_of, did_you_mean, written
from integrations.providers import PYTHON
from integrations.providers.base import Provider
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.provider import Declared, DeclaredAccount, Terms
from integrations.quota.errors import SettingsError

_SERVICE: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

AnyProvider = Provider[Any]


class ProvidersFileError(SettingsError):
    """The providers' file has defects; the text is one line for each: `FILE:LINE: what: expected …`."""


def load(path: Path) -> tuple[AnyProvider, ...]:
    """The accounts of a file, in its order; IMAI alone where there is no file.

    Raises:
        ProvidersFileError: the file has defects.
    """
    try:
        content, document = read(path)
    except FileNotFoundError:
        return (PYTHON["imai"](),)
    defects: list[Defect] = list(_service_defects(content))
    providers: dict[int, AnyProvider] = {}
    for index, account in enumerate(content.accounts):
        found = list(_account_defects(account, content))
        defects += [(("accounts", index, *place), text) for place, text in found]
        if not found:
            providers[index] = _provider(account, content)
    defects += _clashes(providers)
    if defects:
        located = [(document.locate(location), text) for location, text in defects]
        raise _error(path, [(line, f"{written(place)}: {text}") for (place, line), text in located])
    return tuple(providers.values())


def read(path: Path) -> tuple[ProvidersFile, YamlDocument]:
    """A file's content, each part of which is right in itself, and its lines.

    Raises:
        FileNotFoundError: there is none.
        ProvidersFileError: the file has defects.
    """
    try:
        document = yaml_file.load(yaml_file.read_text(path))
    except YamlFileError as error:
        raise _error(path, [(error.line or 1, error.problem)]) from None
    try:
        return ProvidersFile.model_validate(document.value), document
    except ValidationError as error:
        raise _error(path, defects_of(error, document)) from None


def _error(path: Path, defects: Iterable[tuple[int, str]]) -> ProvidersFileError:
    return ProvidersFileError("\n".join(f"{path}:{line}: {text}" for line, text in sorted(defects)))


def _service_defects(content: ProvidersFile) -> Iterator[Defect]:
    for name in content.services:
        if name in PYTHON:
            yield ("services", name), "expected another name: the panel has a provider in Python of this one"
        elif _SERVICE.fullmatch(name) is None:
            yield ("services", name), "expected a name in lower case, with digits and hyphens"


def definition_of(service: str, content: ProvidersFile) -> Definition | None:
    """A service's definition: the operator's own goes before the catalogue's."""
    own = content.services.get(service)
    return catalogue.definition(service) if own is None and service in catalogue.names() else own


def _account_defects(account: Account, content: ProvidersFile) -> Iterator[Defect]:
    if account.service in PYTHON:
        yield from python_defects(account)
        return
    definition = definition_of(account.service, content)
    if definition is None:
        known = (*PYTHON, *content.services, *catalogue.names())
        hint = did_you_mean(account.service, known)
        yield (
            ("service",),
            f"unknown service: expected one of your services, or one that `integrations providers list` shows{hint}",
        )
    else:
        yield from declared_defects(account, definition)


def _provider(account: Account, content: ProvidersFile) -> AnyProvider:
    """The provider of an account without defects."""
    definition = definition_of(account.service, content)
    provider = declared(account, definition) if definition else PYTHON[account.service](account.name)
    provider.floors = account.floors
    provider.note = account.note
    provider.console = account.console or (definition.console if definition else None)
    return provider


def declared(account: Account, definition: Definition) -> Declared:
    """The provider of an account that fits its service's definition."""
    return Declared(
        definition,
        DeclaredAccount(
            label=f"{definition.label} {account.name}" if account.name else definition.label,
            variables=account.key or definition.variables(account.service),
            values=definition.request.values | account.values,
            plain_http=account.allow_http,
            terms=_terms(account, definition),
        ),
    )


def _terms(account: Account, definition: Definition) -> dict[str | None, Terms]:
    return {
        quota.name: Terms(
            total=stated(account.total, quota.name),
            renewal_day=stated(account.renewal_day, quota.name),
            renewal_time=stated(account.renewal_time, quota.name) or time(),
        )
        for quota in definition.quotas
    }


def _clashes(providers: Mapping[int, AnyProvider]) -> Iterator[Defect]:
    """Accounts that would show the same card, or the same account twice."""
    names: set[str] = set()
    keys: set[object] = set()
    for index, provider in providers.items():
        mine = _card_names(provider)
        if mine & names:
            yield (
                ("accounts", index, "name"),
                f"expected another name: there is a card {min(mine & names)!r} already",
            )
        identity = _identity(provider)
        if identity in keys:
            yield ("accounts", index, "key"), "expected another key: an account above is the very same"
        names |= mine
        keys.add(identity)


def _card_names(provider: AnyProvider) -> set[str]:
    quotas = provider.definition.quotas if isinstance(provider, Declared) else ()
    return {provider.label, *(f"{provider.label} {quota.name}" for quota in quotas if quota.name)}


def _identity(provider: AnyProvider) -> object:
    """What makes an account itself: whom it asks, and with which key."""
    if not isinstance(provider, Declared):
        return provider.key_variable
    account = provider.account
    return provider.definition.request.url, account.variables, tuple(sorted(account.values.items()))
