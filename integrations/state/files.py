"""The state's files, as the file system shows them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from integrations.files import owner
from integrations.state import StateFileError

_INDEX_BYTES: Final = 32 * 1024
"""What SQLite's `-shm` takes at once."""


def refuse_others(path: Path) -> None:
    """Refuse a file of the state that other users may read or write."""
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise StateFileError(f"{path}: others may access it (mode {mode:04o}). Run: chmod 600 {path}")


def refuse_mounted_file(path: Path) -> None:
    """Refuse a file that is mounted by itself.

    What SQLite keeps beside it would be there twice, and damage it.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # no Linux: there is no telling
        return
    # The fifth field is where; a space in it is an octal number (proc(5)).
    places = {line.split(" ")[4] for line in mounts.splitlines()}
    if str(path.resolve()).replace(" ", r"\040") in places:
        raise StateFileError(f"{path}: mounted by itself. Mount its folder, which holds more files of it")


def cure(path: Path | None) -> str:
    """What to do where the file, or one of those beside it, cannot be opened."""
    found = path.parent.glob(f"{path.name}*") if path else ()
    strangers = filter(None, map(owner.stranger, sorted(found)))
    return next(strangers, "Its folder must be there and the panel's user must be able to write into it")


def inode(path: Path) -> int:
    """The number of the file that is there now; 0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def is_full(folder: Path) -> bool:
    """Whether there is no room for what SQLite keeps beside the file: no blocks, or no inodes."""
    if not hasattr(os, "statvfs"):
        return False  # no Unix: there is no telling
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    # Some file systems do not count inodes, and have 0 of them.
    return found.f_bavail * found.f_frsize < _INDEX_BYTES or (found.f_files > 0 and found.f_favail == 0)
