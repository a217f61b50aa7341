"""The accounts whose quotas are shown, from the providers' file; IMAI alone where there is no file.

The file is read once a process. Whoever needs the accounts asks `current()` each time and keeps nothing, so that
another list can take its place.
"""

import threading
from dataclasses import dataclass
from typing import Any, Final

from integrations.accounts.build import load
from integrations.providers.base import Provider
from integrations.settings import panel_settings


@dataclass
class _Current:
    providers: tuple[Provider[Any], ...] | None = None


_current: Final = _Current()
_lock: Final = threading.Lock()


def current() -> tuple[Provider[Any], ...]:
    """The accounts, in the order of their cards.

    Raises:
        SettingsError: the file has defects.
    """
    with _lock:
        if _current.providers is None:
            _current.providers = read()
        return _current.providers


def read() -> tuple[Provider[Any], ...]:
    """The accounts of the file as it is now.

    Raises:
        SettingsError: the file has defects.
    """
    return load(panel_settings().providers_file)


def replace(providers: tuple[Provider[Any], ...] | None) -> None:
    """Show other accounts from now on; None: those of the file, read anew at the next call."""
    with _lock:
        _current.providers = providers
