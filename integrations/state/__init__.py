"""The state that all processes of the panel share: sign-ins, counted attempts, readings.

`PANEL_STATE_URL` selects its engine: a file for the processes of one machine, Redis or Valkey for several machines, or
the memory of a single process. Callers do not know which one is in use.
"""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from integrations.files import private
from integrations.quota.errors import SettingsError
from integrations.settings import PanelSettings, panel_settings
from integrations.state.base import State, StateError, UnusableStateError

__all__ = ["State", "StateError", "UnusableStateError", "file_of", "open_state", "state"]

DEFAULT_FOLDER: Final = Path(".streamlit")
"""The folder of the default file. A folder that the operator named is not made: the name may be misspelt."""

_EXPECTED: Final = (
    "sqlite:///relative/path, sqlite:////absolute/path, memory://, redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], "
    "rediss://… for TLS, or unix://[[USER]:PASSWORD@]/path/to/socket. "
    "Write special characters in a password as %XX"
)


@cache
def state() -> State:
    """Return this process's state. Opens nothing yet, but makes the folder of the default file.

    Raises:
        SettingsError: `PANEL_STATE_URL` is wrong.
    """
    settings = panel_settings()
    if settings.state_url == PanelSettings.model_fields["state_url"].default:
        with suppress(OSError):  # reported when the file is opened
            private.make_folder(DEFAULT_FOLDER, 0o700)
    return open_state(settings.state_url.get_secret_value())


def open_state(url: str) -> State:
    """Return the engine that a URL names.

    Raises:
        SettingsError: the URL is wrong, or its engine is not installed; the text holds nothing of the URL.
    """
    scheme, _, place = url.partition("://")
    if url == "memory://" or (scheme == "sqlite" and _is_file(place)):
        from integrations.state.sqlite import SqliteState

        return SqliteState(file_of(url))
    if scheme in {"redis", "rediss", "unix"}:
        try:
            from integrations.state.redis import RedisState
        except ModuleNotFoundError:
            raise SettingsError("PANEL_STATE_URL: redis-py is missing. Run: pip install '.[redis]'") from None
        with suppress(Exception):  # redis-py raises many kinds, and their texts may quote the URL
            return RedisState(url)
    raise SettingsError(f"PANEL_STATE_URL: not the place of a state. Expected: {_EXPECTED}")


def file_of(url: str) -> Path | None:
    """Return the file that a URL names, with `~` expanded; None if the URL names no file.

    Raises:
        SettingsError: there is no such home.
    """
    scheme, _, place = url.partition("://")
    if scheme != "sqlite":
        return None
    try:
        return Path(place[1:]).expanduser()
    except RuntimeError:
        raise SettingsError(
            "PANEL_STATE_URL: there is no home folder for its ~. Give the whole path."
        ) from None


def _is_file(place: str) -> bool:
    return (
        place.startswith("/") and not place.endswith(("/", ":memory:")) and not {"?", "#", "\0"} & set(place)
    )
