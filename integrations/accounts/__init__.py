"""The accounts whose quotas are shown, from the providers' file; IMAI alone if there is no file.

The file is read once a process. Callers ask `current()` each time and keep nothing, so that the list can be replaced.
"""

import threading
from dataclasses import dataclass
from typing import Any, Final

from integrations.accounts.build import InFileOrder, load
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


def keeps_order() -> bool:
    """Whether the page shows the cards in the order of the accounts, not the most urgent first."""
    return isinstance(current(), InFileOrder)


def read() -> tuple[Provider[Any], ...]:
    """Read the accounts from the file.

    Raises:
        SettingsError: the file has defects.
    """
    return load(panel_settings().providers_file)


def replace(providers: tuple[Provider[Any], ...] | None) -> None:
    """Show other accounts from now on; None: read the file again at the next call."""
    with _lock:
        _current.providers = providers
