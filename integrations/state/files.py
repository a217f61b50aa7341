"""Facts about the files of an SQLite database."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from integrations.files import private
from integrations.state.base import UnusableStateError

_INDEX_BYTES: Final = 32 * 1024
"""The size of a new `-shm` file."""


def refuse_others(path: Path) -> None:
    """Refuse a file of the state that other users may read or write."""
    with suppress(FileNotFoundError):
        if problem := private.access_by_others(path, path.stat()):
            raise UnusableStateError(problem)


def refuse_mounted_file(path: Path) -> None:
    """Refuse a file that is mounted without its folder: each side would have its own `-wal`, which damages it."""
    if private.is_mounted(path):
        raise UnusableStateError(f"{path}: mounted by itself. Mount its folder, which holds more files of it")


def is_full(folder: Path) -> bool:
    """Return whether the disk has no blocks or no inodes for the files that SQLite adds."""
    if not hasattr(os, "statvfs"):
        return False  # only Unix tells
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    # Some file systems do not count inodes and report 0 of them.
    return found.f_bavail * found.f_frsize < _INDEX_BYTES or (found.f_files > 0 and found.f_favail == 0)
