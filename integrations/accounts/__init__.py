"""The accounts whose quotas are shown, from the providers' file; IMAI alone if there is no file.

The file is read once a process. Callers use `current()` each time, as the list may be replaced.
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
    """Return the accounts, in the order of their cards.

    Raises:
        SettingsError: the file has defects.
    """
    with _lock:
        if _current.providers is None:
            _current.providers = read()
        return _current.providers


def read() -> tuple[Provider[Any], ...]:
    """Read the accounts from the file again.

    Raises:
        SettingsError: the file has defects.
    """
    return load(panel_settings().providers_file)


def replace(providers: tuple[Provider[Any], ...] | None) -> None:
    """Replace the accounts; None: read the file at the next call."""
    with _lock:
        _current.providers = providers
