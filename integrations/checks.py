"""The checks of an installation: the start logs them, `integrations check` prints them, `/ready` repeats some."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from integrations import accounts, command
from integrations import log as log_output
from integrations.access import INTEGRATION_READ, credentials
from integrations.access.credentials import StoreContent, StoreError, StoreModeError
from integrations.access.permissions import is_allowed, permissions_of
from integrations.files import env_file, private
from integrations.files.yaml_model import did_you_mean
from integrations.providers import PYTHON
from integrations.quota.errors import SettingsError
from integrations.settings import LOOPBACK_HOSTS, PanelSettings, ProviderSettings, panel_settings
from integrations.state import StateError, UnusableStateError, file_of, state

log = logging.getLogger("integrations")

_SECRET_NAMES: Final = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
"""Endings of the names of secret variables. Those that the accounts name are secret, too."""
_WITH_PASSWORD: Final = re.compile(r"://[^/]*@|[?&]password=")
_PYTHON_SETTINGS: Final = tuple(kind.settings_class for kind in PYTHON.values())
_PREFIXES: Final = ("PANEL_", *(str(kind.model_config.get("env_prefix")) for kind in _PYTHON_SETTINGS))


class Severity(IntEnum):
    """How bad a finding is, as a level of the log; with an `ERROR` the panel is of no use, `FATAL` stops the start."""

    OK = logging.NOTSET
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR
    FATAL = logging.CRITICAL


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a check: the subject in a word, and what is right, or what is wrong and how to correct it."""

    about: str
    text: str
    severity: Severity = Severity.OK


class StartError(Exception):
    """The panel must not start; the text has one line for each reason."""


def check_settings() -> PanelSettings:
    """Read all settings and the accounts.

    Raises:
        StartError: one line for each wrong variable and each defect of the providers' file.
    """
    _stop_if_fatal(settings())
    return panel_settings()


def check_env_file() -> None:
    """Check who may access `.env`.

    Raises:
        StartError: others may change it, or read a secret in it.
    """
    _stop_if_fatal(env_file_access())


def check() -> PanelSettings:
    """Set up the log, and run the checks that can stop the start.

    Raises:
        StartError: settings are wrong, others may access a private file, or the state's file must be repaired.
    """
    # The log's format comes first, so that wrong settings are logged in it.
    style = os.environ.get("PANEL_LOG_FORMAT", "")
    with suppress(OSError, UnicodeDecodeError):
        style = env_file.variables().get("PANEL_LOG_FORMAT", "")
    log_output.set_up("INFO", "json" if style.strip().lower() == "json" else "text")
    found = check_settings()
    prepare_log(found)
    _stop_if_fatal(run(STOPPING_CHECKS))
    return found


def prepare_log(found: PanelSettings) -> None:
    """Set up the log as the settings say."""
    log_output.set_up(found.log_level, found.log_format)


def prepare() -> None:
    """Run all checks and log their findings.

    Raises:
        StartError: as `check`.
    """
    found = check()
    users = found.auth_file.absolute()
    log.info("%s; users from %s; state in %s", settings_source(), users, state_place(found))
    _log(run(CHECKS))


def _log(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.severity > Severity.OK and finding.about != "state":  # the state logs its own failures
            log.log(finding.severity, "%s", finding.text)


def run(checks: Iterable[Callable[[], Iterator[Finding]]]) -> list[Finding]:
    """Return the findings of these checks."""
    return [finding for check in checks for finding in check()]


def _stop_if_fatal(findings: Iterable[Finding]) -> None:
    if fatal := [finding.text for finding in findings if finding.severity == Severity.FATAL]:
        raise StartError("\n".join(fatal))


def reload_accounts() -> None:
    """Read the providers' file again; if it has a defect or is gone, log that and change nothing."""
    file = panel_settings().providers_file
    try:
        found = accounts.read()
        for provider in found:
            _ = provider.settings
    except SettingsError as error:
        log.error("The accounts stay as they were: %s", "; ".join(str(error).splitlines()))
        return
    labels = [provider.label for provider in found]
    shown = [provider.label for provider in accounts.current()]
    if labels != shown and not file.exists():
        log.error("The accounts stay as they were: %s: there is no such file", file)
        return
    accounts.replace(found)
    log.info("Accounts reloaded: %s", ", ".join(labels) or "none")
    _log(shown_accounts())


def settings() -> Iterator[Finding]:
    """Check the file of settings, the settings and the accounts."""
    defects = _problems(env_file.check)  # an unreadable line may hide any setting
    findings = [Finding("settings", line, Severity.FATAL) for line in defects] or list(loaded_settings())
    yield from findings or [Finding("settings", settings_source())]


def loaded_settings() -> Iterator[Finding]:
    """Check the settings and the accounts that this process uses; yield nothing if they are right."""
    problems = _problems(panel_settings)
    if problems:
        problems += [line for kind in _PYTHON_SETTINGS for line in _problems(kind.load)]
    elif not (problems := _problems(state) + _problems(accounts.current)):
        for provider in accounts.current():
            problems += _problems(partial(getattr, provider, "settings"))
    yield from (Finding("settings", line, Severity.FATAL) for line in problems)


def _problems(load: Callable[[], object]) -> list[str]:
    try:
        load()
    except SettingsError as error:
        return str(error).splitlines()
    return []


def settings_source() -> str:
    """Return the sources of the settings, with the whole path."""
    path = env_file.path().absolute()
    exists = path.exists()  # it may be a pipe
    return f"Settings from the environment{', then from' if exists else '; there is no'} {path}"


def unknown_variables() -> Iterator[Finding]:
    """Find variables that look like settings but are none."""
    kinds: list[type[PanelSettings | ProviderSettings]] = [PanelSettings, *_PYTHON_SETTINGS]
    kinds += [provider.settings_class for provider in accounts.current()]
    known = {env_file.VARIABLE, *(kind.variable(field) for kind in kinds for field in kind.model_fields)}
    for name in sorted(env_file.variables()):
        if name.startswith(_PREFIXES) and name not in known:
            text = f"{name} is no setting of the panel and is ignored{did_you_mean(name, known)}"
            yield Finding("settings", text, Severity.WARNING)


def shown_accounts() -> Iterator[Finding]:
    """List the accounts; find a missing providers' file and icons that the page cannot draw."""
    from integrations.ui import icons

    file = panel_settings().providers_file
    path = file.absolute()
    names = ", ".join(provider.label for provider in accounts.current()) or "none"
    if file.exists():
        yield Finding("accounts", f"{names}, from {path}")
    elif file == PanelSettings.model_fields["providers_file"].default:
        yield Finding("accounts", f"{names}; there is no {path}")
    else:
        text = f"PANEL_PROVIDERS_FILE: {path}: there is no such file: IMAI alone is shown"
        yield Finding("accounts", text, Severity.WARNING)
    labels = {provider.icon: provider.label for provider in reversed(accounts.current())}
    for icon, label in labels.items():
        if not icons.is_known(icon):
            text = f"{path}: icon: {icon} of {label} is no Material symbol: another one is shown"
            yield Finding("accounts", text, Severity.WARNING)


def env_file_access() -> Iterator[Finding]:
    """Check that others cannot change `.env`, nor read a secret in it."""
    path = env_file.path()
    try:
        status = path.stat()
    except OSError:
        return  # there is none, or `env_file.check` reports it
    if private.access_by_others(path, status) is None:
        yield Finding(".env", f"{path.absolute()} is its owner's alone")
        return
    names = (name for name, value in env_file.values().items() if value and _is_secret(name.upper(), value))
    secret = next(names, None)
    problem = private.access_by_others(path, status, f", and it holds {secret}" if secret else "")
    fatal = secret or private.changes_by_others(path, status)
    yield Finding(".env", f"{problem}", Severity.FATAL if fatal else Severity.WARNING)


def _is_secret(name: str, value: str) -> bool:
    """Return whether a variable's value is a key, or an address with a password."""
    keys = (variable for provider in accounts.current() for variable in provider.configured)
    return name.endswith(_SECRET_NAMES) or name in keys or _WITH_PASSWORD.search(value) is not None


def state_access() -> Iterator[Finding]:
    """Check that sign-ins and readings can be kept."""
    try:
        state().check()
    except StateError as error:
        must_stop = isinstance(error, UnusableStateError)  # other errors may end without a repair
        severity = Severity.FATAL if must_stop else Severity.ERROR
        yield Finding("state", f"PANEL_STATE_URL: {error}", severity)
    else:
        yield Finding("state", f"can be read and written: {state_place(panel_settings())}")


def state_place(found: PanelSettings) -> str:
    """Return "memory", the whole path of the state's file, or the address of Redis without user and password."""
    file = file_of(found.state_url.get_secret_value())
    if file is not None:
        return str(file.absolute())
    url = urlsplit(found.state_url.get_secret_value())
    host = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{host}{url.path}" if host or url.path else url.scheme


def sign_in(content: Callable[[], StoreContent] | None = None) -> Iterator[Finding]:
    """Check that a user can sign in and see the figures; without `content` the store's file is read."""
    path = panel_settings().auth_file
    try:
        found = content() if content else credentials.read(path)
    except StoreModeError as error:
        yield Finding("users", f"PANEL_AUTH_FILE: {error}", Severity.FATAL)
        return
    except StoreError as error:
        for line in str(error).splitlines():
            yield Finding("users", f"Nobody can sign in yet: {line}", Severity.ERROR)
        return
    users = found.users.values()
    readers = [
        user for user in users if is_allowed(INTEGRATION_READ, permissions_of(user.roles, found.roles))
    ]
    if readers:
        text = f"{len(readers)} of {len(users)} may see the figures, from {path.absolute()}"
        yield Finding("users", text)
    elif users:
        text = f"nobody has the permission {INTEGRATION_READ}. Run: {command.name()} users role NAME admin"
        yield Finding("users", text, Severity.WARNING)
    else:
        text = f"{path.absolute()}: no user exists yet. Make the first: {command.add_user()}"
        yield Finding("users", f"Nobody can sign in yet: {text}", Severity.ERROR)


def session_cookie() -> Iterator[Finding]:
    """Compare the cookie's Secure flag with the address in use."""
    found = panel_settings()
    if found.cookie_secure:
        text = f"kept over HTTPS: {found.host} needs --ssl-certfile, or a proxy with HTTPS in front of it"
        yield Finding("cookie", text)
    else:
        text = "PANEL_COOKIE_SECURE=false is for a trusted network without HTTPS; behind a proxy take it out"
        local = found.host in LOOPBACK_HOSTS  # only a proxy or this machine connects
        yield Finding("cookie", text, Severity.WARNING if local else Severity.INFO)


# Once the settings are right; the first three can stop the start.
STOPPING_CHECKS: Final = (env_file_access, state_access, sign_in)
CHECKS: Final = (unknown_variables, shown_accounts, *STOPPING_CHECKS, session_cookie)
