"""Turns the providers' file into providers, or into a list of its defects with their lines."""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from integrations.accounts import catalogue
from integrations.accounts.file import ONLY, Account, ProvidersFile, stated
from integrations.accounts.rules import Defect, declared_defects, python_defects
from integrations.files import private, yaml_model
from integrations.files.yaml_model import DefectsError, did_you_mean, format_location
from integrations.providers import PYTHON
from integrations.providers.base import Provider
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.provider import ContractTerms, DeclaredAccount, DeclaredProvider
from integrations.quota.errors import SettingsError

_SERVICE: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

AnyProvider = Provider[Any]


class InFileOrder(tuple[AnyProvider, ...]):
    """The accounts of a file that fixes the order of the cards."""

    __slots__ = ()


def load(path: Path) -> tuple[AnyProvider, ...]:
    """Return the accounts of a file, in its order; IMAI alone if there is no file.

    Raises:
        DefectsError: the file has defects.
        SettingsError: others may change it.
    """
    try:
        content, document = yaml_model.read(path, ProvidersFile, check=partial(_refuse_changes, path))
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
        lines = [(line, f"{format_location(place)}: {text}") for (place, line), text in located]
        raise DefectsError.at(path, lines)
    return InFileOrder(providers.values()) if content.order == "file" else tuple(providers.values())


def _refuse_changes(path: Path, status: os.stat_result) -> None:
    """Refuse a file that others may change: they could have any variable sent as a key to any host."""
    if problem := private.changes_by_others(path, status):
        raise SettingsError(problem)


def _service_defects(content: ProvidersFile) -> Iterator[Defect]:
    for name in content.services:
        if name in PYTHON:
            yield ("services", name), "expected another name: the panel has a provider in Python of this one"
        elif _SERVICE.fullmatch(name) is None:
            yield ("services", name), "expected a name in lower case, with digits and hyphens"


def definition_of(service: str, content: ProvidersFile) -> Definition | None:
    """Return a service's definition: the operator's own, or the catalogue's."""
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
    """Return the provider of an account without defects."""
    definition = definition_of(account.service, content)
    provider = declared(account, definition) if definition else PYTHON[account.service](account.name)
    provider.floors = account.floors
    provider.note = account.note
    provider.service_note = definition.note if definition else None
    provider.console = account.console or (definition.console if definition else None)
    return provider


def declared(account: Account, definition: Definition) -> DeclaredProvider:
    """Return the provider of an account that fits its service's definition."""
    return DeclaredProvider(
        definition,
        DeclaredAccount(
            label=f"{definition.label} {account.name}" if account.name else definition.label,
            variables=account.key or definition.variables(account.service),
            values=definition.request.values | account.values,
            plain_http=account.allow_http,
            terms=_terms(account, definition),
        ),
    )


def _terms(account: Account, definition: Definition) -> dict[str | None, ContractTerms]:
    """Return the terms by the quota's name: the definition's names, and those that only the account states."""
    names = [quota.fixed_name for quota in definition.quotas]
    names += [name for name in (*account.total, *account.renewal_day) if name != ONLY]
    return {
        name: ContractTerms(
            total=stated(account.total, name),
            renewal_day=stated(account.renewal_day, name),
            renewal_time=stated(account.renewal_time, name) or time(),
        )
        for name in dict.fromkeys(names)  # in a fixed order, as it is part of the account's identity
    }


def _clashes(providers: Mapping[int, AnyProvider]) -> Iterator[Defect]:
    """Yield accounts that would show the same card, or the same account twice."""
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
    quotas = provider.definition.quotas if isinstance(provider, DeclaredProvider) else ()
    names = [quota.fixed_name for quota in quotas if quota.fixed_name]
    return {provider.label, *(f"{provider.label} {name}" for name in names)}


def _identity(provider: AnyProvider) -> object:
    """Return the address, the keys and the values of an account: two accounts with the same ones are the same."""
    if not isinstance(provider, DeclaredProvider):
        return provider.key_variable
    account = provider.account
    return provider.definition.request.url, account.variables, tuple(sorted(account.values.items()))
