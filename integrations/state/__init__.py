"""What all processes of the panel share: sign-ins, counted attempts, readings.

`PANEL_STATE_URL` says where: a file for the processes of one machine, Redis or Valkey for several machines, or the
memory of a single process. Nothing above this package knows which. Texts go in and come out; every call may raise
`StateError`, and none waits much longer than two seconds but `lock`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from integrations.files import private
from integrations.quota.errors import SettingsError
from integrations.settings import PanelSettings, panel_settings

if TYPE_CHECKING:
    from limits.storage import Storage

DEFAULT_FOLDER: Final = Path(".streamlit")
"""Where the file is by default. Another folder that somebody named may be misspelt, and is not made."""

PREFIX: Final = "integrations-1:"
"""Before every key. The number is the version of the records' shape: two versions do not read each other's records.

A new field with a default needs no new number, and a new number signs everybody out.
"""

_EXPECTED: Final = (
    "sqlite:///relative/path, sqlite:////absolute/path, memory://, redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], "
    "rediss://… for TLS, or unix://[[USER]:PASSWORD@]/path/to/socket. "
    "Write special characters in a password as %XX"
)


class StateError(Exception):
    """The state cannot be used now. The text is for the log: the place, the problem and the fix, and no secret."""


class StateFileError(StateError):
    """The state's file is unusable until a person mends it; the panel does not start on it."""


class State(Protocol):
    """Texts that end by themselves, locks, and counts of attempts. Safe from any thread."""

    def get(self, key: str) -> str | None:
        """The text under a key, or None."""

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The texts under those of these keys that have one, by key; all in the time of one."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Set a text, for so many seconds."""

    def replace(self, key: str, text: str) -> None:
        """Set a text only where one still stands; when it ends does not change."""

    def take(self, key: str) -> str | None:
        """Remove a text and give it to whoever comes first; None to all others."""

    def items(self, prefix: str) -> dict[str, str]:
        """All texts whose keys begin so, by key."""

    def lock(self, name: str, *, wait: float) -> AbstractContextManager[bool]:
        """One holder at a time among all processes; gives whether the lock was got within `wait` seconds.

        A holder that dies loses it within 3 seconds. Not re-entrant.
        """

    def attempts(self) -> "Storage":
        """Where the moving window of `limits` counts."""

    def check(self) -> None:
        """Raise `StateError` where the state cannot be read and written."""

    def close(self) -> None:
        """Let go of files and connections."""


@cache
def state() -> State:
    """The process's way to the state. Opens nothing yet, but makes the folder of the default place.

    Raises:
        SettingsError: `PANEL_STATE_URL` is wrong.
    """
    settings = panel_settings()
    if settings.state_url == PanelSettings.model_fields["state_url"].default:
        with suppress(OSError):  # told when the file is opened
            private.make_folder(DEFAULT_FOLDER, 0o700)
    return open_state(settings.state_url.get_secret_value())


def open_state(url: str) -> State:
    """The engine that a URL names.

    Raises:
        SettingsError: the URL is wrong, or its engine is not installed; the text holds nothing of the URL.
    """
    scheme, _, place = url.partition("://")
    if url == "memory://" or (scheme == "sqlite" and _is_file(place)):
        from integrations.state.sqlite import SqliteState  # noqa: PLC0415 - only the engine that is used

        return SqliteState(file_of(url))
    if scheme in {"redis", "rediss", "unix"}:
        try:
            from integrations.state.redis import RedisState  # noqa: PLC0415 - its library is optional
        except ModuleNotFoundError:
            raise SettingsError("PANEL_STATE_URL: redis-py is missing. Run: pip install '.[redis]'") from None
        with suppress(Exception):  # of whatever kind redis-py raises; its text may quote the URL
            return RedisState(url)
    raise SettingsError(f"PANEL_STATE_URL: not the place of a state. Expected: {_EXPECTED}")


def file_of(url: str) -> Path | None:
    """The file that a URL names, with `~` as a home; None where the state is elsewhere.

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
