"""`integrations check`: goes through what an operator can get wrong, a line each."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import click

from integrations import accounts, checks, command, log
from integrations.access import INTEGRATION_READ, store
from integrations.access.permissions import is_allowed, permissions_of
from integrations.access.store import StoreError
from integrations.files import env_file
from integrations.providers.base import Provider
from integrations.quota import words
from integrations.quota.models import Reading
from integrations.readings import fetch
from integrations.settings import LOOPBACK_HOSTS, panel_settings
from integrations.state import StateError, state


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: all is well, or what to do."""

    about: str
    text: str
    ok: bool = True


@click.command()
@click.option("--offline", is_flag=True, help="Ask no provider.")
def check(*, offline: bool) -> None:
    """Check settings, accounts, store, permissions and keys; exit 0 if all is well, 1 if not."""
    log.set_up("CRITICAL", "text")  # the findings say it
    found = list(_settings())
    if all(finding.ok for finding in found):
        checks = (*_CHECKS, _keys_are_set if offline else _keys_work)
        found += [finding for of_one in checks for finding in of_one()]
    for finding in found:
        click.echo(f"{'ok  ' if finding.ok else 'FIX '} {finding.about}: {finding.text}")
    if not all(finding.ok for finding in found):
        sys.exit(1)


def _settings() -> Iterator[Finding]:
    """The variables, and the providers' file with them."""
    try:
        checks.check_settings()
    except checks.StartError as error:
        for line in str(error).splitlines():
            yield Finding("settings", line, ok=False)
        return
    yield Finding("settings", checks.settings_source())


def _names() -> Iterator[Finding]:
    """What looks like a setting and is none; that stops no start, and so none of the other checks."""
    for line in checks.unknown_variables():
        yield Finding("settings", line, ok=False)


def _accounts() -> Iterator[Finding]:
    missing = checks.missing_providers_file(panel_settings())
    if missing is not None:
        yield Finding("accounts", missing, ok=False)
        return
    file = panel_settings().providers_file.absolute()
    names = ", ".join(provider.label for provider in accounts.current()) or "none"
    yield Finding("accounts", f"{names}, from {file}" if file.exists() else f"{names}; there is no {file}")
    for line in checks.unknown_icons():
        yield Finding("accounts", line, ok=False)


def _env_file_is_private() -> Iterator[Finding]:
    path = env_file.path().absolute()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if os.name == "posix" and mode & 0o077:
        yield Finding(".env", f"others may read the keys (mode {mode:04o}). Run: chmod 600 {path}", ok=False)
    else:
        yield Finding(".env", f"{path} is its owner's alone")


def _state() -> Iterator[Finding]:
    """Whether sign-ins and readings can be kept."""
    try:
        state().check()
    except StateError as error:
        yield Finding("state", f"PANEL_STATE_URL: {error}", ok=False)
    else:
        yield Finding("state", f"can be read and written: {checks.state_place(panel_settings())}")


def _store() -> Iterator[Finding]:
    """Whether anybody can sign in and see something."""
    path = panel_settings().auth_file
    try:
        content = store.read(path)
    except StoreError as error:
        yield Finding("users", str(error), ok=False)
        return
    obstacle = checks.sign_in_obstacle(panel_settings())
    if obstacle is not None:
        yield Finding("users", obstacle, ok=False)
        return
    readers = [
        name
        for name, user in content.users.items()
        if is_allowed(INTEGRATION_READ, permissions_of(user.roles, content.roles))
    ]
    if readers:
        yield Finding(
            "users", f"{len(readers)} of {len(content.users)} may see the figures, from {path.absolute()}"
        )
    else:
        hint = f"{command.name()} users role NAME admin"
        yield Finding("users", f"nobody has the permission {INTEGRATION_READ}. Run: {hint}", ok=False)


def _cookie() -> Iterator[Finding]:
    """The cookie's Secure flag against the address in use."""
    settings = panel_settings()
    local = settings.host in LOOPBACK_HOSTS
    if settings.cookie_secure and local:
        yield Finding("cookie", "kept over HTTPS; a proxy in front of this address must speak it")
    elif settings.cookie_secure:
        yield Finding(
            "cookie", f"kept over HTTPS: {settings.host} needs --ssl-certfile, or a proxy in front of it"
        )
    elif local:
        text = "PANEL_COOKIE_SECURE=false is for a trusted network without HTTPS; behind a proxy take it out"
        yield Finding("cookie", text, ok=False)
    else:
        yield Finding("cookie", f"travels unprotected to {settings.host}: for a trusted network alone")


_CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _names,
    _accounts,
    _env_file_is_private,
    _state,
    _store,
    _cookie,
)
"""What is looked at once the settings are right."""


def _keys_are_set() -> Iterator[Finding]:
    for provider in accounts.current():
        if missing := provider.missing_variables:
            yield Finding(provider.label, f"no key: set {' and '.join(missing)}", ok=False)
        elif provider.configured:
            are = "are" if len(provider.configured) > 1 else "is"
            yield Finding(provider.label, f"{provider.key_variable} {are} set; not asked")
        else:
            yield Finding(provider.label, "needs no key; not asked")


def _keys_work() -> Iterator[Finding]:
    """Each account, asked once, side by side; the log is not written, so what it would say stands here."""
    providers = accounts.current()
    with ThreadPoolExecutor(max_workers=max(len(providers), 1)) as pool:
        answers = zip(providers, pool.map(fetch.fetch_with_errors, providers), strict=True)
        for provider, (outcome, errors) in answers:
            for reading in fetch.visible_readings(provider, outcome):
                if reading.error is None:
                    yield Finding(reading.provider, _figures(provider, reading))
                else:
                    description = fetch.describe(provider, errors[reading.provider])
                    text = f"{reading.error.message} The log would say: {description}"
                    yield Finding(reading.provider, text, ok=False)


def _figures(provider: Provider[Any], reading: Reading) -> str:
    figures = (words.remaining(reading), words.used(reading, total_hint=provider.total_hint))
    return ". ".join(filter(None, figures))
