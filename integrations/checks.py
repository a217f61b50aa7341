"""What is done once, before the panel serves: the log is set up and everything that must not be wrong is checked."""

import difflib
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from integrations import accounts, command
from integrations import log as log_output
from integrations.access import store
from integrations.access.store import StoreError, StoreModeError
from integrations.files import env_file
from integrations.providers import PYTHON
from integrations.quota.errors import SettingsError
from integrations.settings import (
    PanelSettings,
    ProviderSettings,
    panel_settings,
)
from integrations.state import StateError, StateFileError, file_of, state

log = logging.getLogger("integrations")

_SECRET_NAMES: Final = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
"""How the names of variables end whose values are secrets, beside those that the accounts name."""
_ADDRESSES: Final = frozenset(map(PanelSettings.variable, ("https_proxy", "state_url")))
_WITH_PASSWORD: Final = re.compile(r"://[^/]*@|[?&]password=")

_PREFIXES: Final = (
    "PANEL_",
    *(str(kind.settings_class.model_config.get("env_prefix")) for kind in PYTHON.values()),
)


class StartError(Exception):
    """The panel must not start; the text is what to tell the operator."""


def check_settings() -> PanelSettings:
    """Read every setting, and the accounts with theirs.

    Raises:
        StartError: with one line for each wrong variable and each defect of the providers' file.
    """
    problems = _problems(env_file.check)
    if problems:  # whatever stands in the file, the settings would be others
        raise StartError("\n".join(problems))
    problems = _problems(panel_settings)
    if problems:
        kinds = [kind.settings_class for kind in PYTHON.values()]
    elif not (problems := _problems(state) + _problems(accounts.current)):
        kinds = [provider.settings_class for provider in accounts.current()]
    else:
        kinds = []
    problems += [line for kind in kinds for line in _problems(kind.load)]
    if problems:
        raise StartError("\n".join(problems))
    return panel_settings()


def _problems(load: Callable[[], object]) -> list[str]:
    try:
        load()
    except SettingsError as error:
        return [str(error)]
    return []


def prepare_log(settings: PanelSettings) -> None:
    """Set up the log as the settings say."""
    log_output.set_up(settings.log_level, settings.log_format)


def _prepare_log_for_the_settings() -> None:
    """Give what is told while the settings are read the log's form already, as far as that can be found alone."""
    reader = logging.getLogger("dotenv.main")
    reader.disabled = True  # a line that it cannot read is told of where the file is checked
    try:
        file = env_file.values()
    except (OSError, UnicodeDecodeError):
        file = {}
    finally:
        reader.disabled = False
    found = {name.upper(): value for source in (file, os.environ) for name, value in source.items() if value}
    style = found.get(PanelSettings.variable("log_format"), "").strip().lower()
    log_output.set_up("INFO", "json" if style == "json" else "text")


def check_env_file() -> None:
    """Look who else may read the keys in `.env`.

    Raises:
        StartError: it holds a secret, and not its owner alone may access it.
    """
    path = env_file.path()
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # there is none; one that cannot be read is told of where it is read
    if os.name != "posix" or not mode & 0o077:
        return
    secrets = [name for name, value in env_file.values().items() if value and _is_secret(name.upper(), value)]
    if secrets:
        raise StartError(
            f"{path}: others may access it (mode {stat.S_IMODE(mode):04o}), and it holds {secrets[0]}. "
            f"Run: chmod 600 {path}"
        )


def _is_secret(name: str, value: str) -> bool:
    """Whether a variable's value is a key, or an address with a password."""
    if name in _ADDRESSES:
        return _WITH_PASSWORD.search(value) is not None
    keys = (variable for provider in accounts.current() for variable in provider.configured)
    return name.endswith(_SECRET_NAMES) or name in keys


def check() -> PanelSettings:
    """Set up the log, and check all that must hold before the panel serves.

    Raises:
        StartError: settings are wrong, others may read the store or the keys, or a person must mend the state's file.
    """
    _prepare_log_for_the_settings()
    settings = check_settings()
    prepare_log(settings)
    check_env_file()
    try:
        store.read(settings.auth_file)
    except StoreModeError as error:
        raise StartError(f"PANEL_AUTH_FILE: {error}") from None
    except StoreError:
        pass  # the panel may start: the store is read again when it changes
    try:
        state().check()
    except StateFileError as error:
        raise StartError(f"PANEL_STATE_URL: {error}") from None
    except StateError:
        pass  # in the log already; it may come back by itself
    return settings


def prepare() -> None:
    """Make ready to serve, and say in the log what stands in the way of its use.

    Raises:
        StartError: settings are wrong, others may read the store or the keys, or a person must mend the state's file.
    """
    settings = check()
    users = settings.auth_file.absolute()
    log.info("%s; users from %s; state in %s", settings_source(), users, state_place(settings))
    if (missing := missing_providers_file(settings)) is not None:
        log.warning(missing)
    for line in (*unknown_variables(), *unknown_icons()):
        log.warning(line)
    if not settings.cookie_secure:
        log.warning("PANEL_COOKIE_SECURE=false: the session cookie also travels over plain HTTP")
    if (obstacle := sign_in_obstacle(settings)) is not None:
        log.error("Nobody can sign in yet: %s", obstacle)


def reload_accounts() -> None:
    """Read the providers' file anew; one with a defect, or that is gone, changes nothing and is told in the log."""
    settings = panel_settings()
    try:
        found = accounts.read()
        for provider in found:
            _ = provider.settings
    except SettingsError as error:
        log.error("The accounts stay as they were: %s", "; ".join(str(error).splitlines()))  # noqa: TRY400
        return
    labels = [provider.label for provider in found]
    shown = [provider.label for provider in accounts.current()]
    file = settings.providers_file
    if missing_providers_file(settings) is not None or (labels != shown and not file.exists()):
        log.error("The accounts stay as they were: %s: there is no such file", file)
        return
    accounts.replace(found)
    log.info("Accounts read anew: %s", ", ".join(labels) or "none")
    for line in unknown_icons():
        log.warning(line)


def settings_source() -> str:
    """Where the settings come from, with the whole path."""
    path = env_file.path().absolute()
    if path.exists():  # it may be a pipe
        return f"Settings from the environment, then from {path}"
    return f"Settings from the environment; there is no {path}"


def missing_providers_file(settings: PanelSettings) -> str | None:
    """That the file of accounts is not there, where the operator named one of their own; None where all is well."""
    file = settings.providers_file
    if file == PanelSettings.model_fields["providers_file"].default or file.exists():
        return None
    return f"PANEL_PROVIDERS_FILE: {file.absolute()}: there is no such file: IMAI alone is shown"


def state_place(settings: PanelSettings) -> str:
    """Where the state is: "memory", the whole path of its file, or the address of Redis without user and password."""
    file = file_of(settings.state_url.get_secret_value())
    if file is not None:
        return str(file.absolute())
    url = urlsplit(settings.state_url.get_secret_value())
    host = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{host}{url.path}" if host or url.path else url.scheme


def sign_in_obstacle(settings: PanelSettings) -> str | None:
    """Why nobody can sign in, with the command that helps; None if somebody can."""
    try:
        content = store.read(settings.auth_file)
    except StoreError as error:
        return str(error)
    if content.users:
        return None
    return f"{settings.auth_file.absolute()}: no user exists yet. Make the first: {command.add_user()}"


def unknown_icons() -> Iterator[str]:
    """A line for each icon that the page cannot draw, with the first account that has it."""
    from integrations.ui import icons  # noqa: PLC0415 - Streamlit is heavy, and most commands do without

    labels = {provider.icon: provider.label for provider in reversed(accounts.current())}
    for icon, label in labels.items():
        if not icons.is_known(icon):
            file = panel_settings().providers_file.absolute()
            yield f"{file}: icon: {icon} of {label} is no Material symbol: another one is shown"


def unknown_variables() -> Iterator[str]:
    """A line for each variable that looks like one of ours and is none, with the nearest that is."""
    kinds: list[type[PanelSettings | ProviderSettings]] = [PanelSettings]
    kinds += [kind.settings_class for kind in PYTHON.values()]
    kinds += [provider.settings_class for provider in accounts.current()]
    known = {env_file.VARIABLE, *(kind.variable(field) for kind in kinds for field in kind.model_fields)}
    for name in sorted(env_file.set_variables()):
        if name.startswith(_PREFIXES) and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            yield f"{name} is no setting of the panel and is ignored.{hint}"
