"""What is done once, before the panel serves: the log is set up and everything that must not be wrong is checked."""

import logging
import sys
from collections.abc import Callable

from integrations import accounts
from integrations.access.store import StoreError, StoreModeError
from integrations.access.store import read as read_store
from integrations.errors import SettingsError
from integrations.providers import PYTHON
from integrations.settings import PanelSettings, panel_settings
from integrations.state import StateError, StateFileError, state

log = logging.getLogger("integrations")


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


def set_up_log(level: str) -> None:
    """One line an event on standard error; uvicorn's warnings in the same format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(level)
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.handlers = [handler]
    uvicorn.propagate = False
    uvicorn.setLevel(logging.WARNING)
    uvicorn.filters = [_is_no_false_alarm]


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    # uvicorn says so of each websocket that was refused with a response, which its own extension provides for.
    return "without completing handshake" not in record.getMessage()


def prepare() -> None:
    """Make ready to serve.

    Raises:
        StartError: settings are wrong, others may read the store, or a person must mend the state's file.
    """
    settings = check_settings()
    set_up_log(settings.log_level)
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
