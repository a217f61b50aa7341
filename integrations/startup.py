"""What is done once, before the panel serves: the log is set up and everything that must not be wrong is checked."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from integrations import accounts
from integrations import log as log_output
from integrations.access.store import StoreError, StoreModeError
from integrations.access.store import read as read_store
from integrations.errors import SettingsError
from integrations.providers import PYTHON
from integrations.settings import PanelSettings, panel_settings
from integrations.state import StateError, StateFileError, state

log = logging.getLogger("integrations")

_SECRET_NAMES: Final = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
"""How the names of variables end whose values are secrets."""


class StartError(Exception):
    """The panel must not start; the text is what to tell the operator."""


def check_settings() -> PanelSettings:
    """Read every setting, and the accounts with theirs.

    Raises:
        StartError: with one line for each wrong variable and each defect of the providers' file.
    """
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


def check_env_file(path: Path = Path(".env")) -> None:
    """Look who else may read the keys in `.env`.

    Raises:
        StartError: it holds a secret, and not its owner alone may access it.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # there is none; one that cannot be read is told of where it is read
    if os.name != "posix" or not mode & 0o077:
        return
    secrets = [name for name, value in dotenv_values(path).items() if value and name.endswith(_SECRET_NAMES)]
    if secrets:
        raise StartError(
            f"{path}: others may access it (mode {stat.S_IMODE(mode):04o}), and it holds {secrets[0]}. "
            f"Run: chmod 600 {path}"
        )


def prepare() -> None:
    """Make ready to serve.

    Raises:
        StartError: settings are wrong, others may read the store or the keys, or a person must mend the state's file.
    """
    settings = check_settings()
    prepare_log(settings)
    check_env_file()
    if "providers_file" in settings.model_fields_set and not settings.providers_file.exists():
        log.warning(
            "PANEL_PROVIDERS_FILE: %s: there is no such file: IMAI alone is shown", settings.providers_file
        )
    try:
        read_store(settings.auth_file)
    except StoreModeError as error:
        raise StartError(f"PANEL_AUTH_FILE: {error}") from None
    except StoreError as error:
        log.error("Nobody can sign in yet: %s", error)  # noqa: TRY400 - the text is the message
    try:
        state().check()
    except StateFileError as error:
        raise StartError(f"PANEL_STATE_URL: {error}") from None
    except StateError:
        pass  # in the log already; it may come back by itself
    if not settings.cookie_secure:
        log.warning("PANEL_COOKIE_SECURE=false: the session cookie also travels over plain HTTP")
