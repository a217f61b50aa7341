"""Who can use the operator's files: their modes, owners and mounts."""

import os
import stat
from pathlib import Path

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def access_by_others(path: Path, status: os.stat_result, reason: str = "") -> str | None:
    """Return the problem and its fix if other users may read or write a file; None if it is private."""
    if os.name != "posix" or not status.st_mode & 0o077:
        return None
    return f"{path}: others may access it (mode {_mode(status)}){reason}. Run: chmod 600 {path}"


def changes_by_others(path: Path, status: os.stat_result) -> str | None:
    """Return the problem and its fix if other users may write a file; None if only its owner may."""
    if os.name != "posix" or not status.st_mode & 0o022:
        return None
    return f"{path}: others may change it (mode {_mode(status)}). Run: chmod go-w {path}"


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"


def make_file(path: Path) -> None:
    """Create an empty file with mode 0600 if there is none; run by root, it gets the owner of its folder."""
    try:
        descriptor = os.open(path, _NEW_FILE, 0o600)
    except FileExistsError:
        return
    try:
        copy_owner(descriptor, path.parent)
    finally:
        os.close(descriptor)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Create a folder and its missing parents; run by root, each gets the owner of the folder above it."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    path.mkdir(mode, exist_ok=True)
    if os.name == "posix":
        descriptor = os.open(path, _FOLDER)
        try:
            copy_owner(descriptor, path.parent)
        finally:
            os.close(descriptor)


def copy_owner(descriptor: int, source: Path) -> None:
    """Run by root, give a new file the owner and the group of another file or folder.

    Args:
        descriptor: of the new file; under its name there may be another file by now.
        source: the other file or folder.
    """
    if os.name == "posix" and os.geteuid() == 0:
        found = source.stat()
        os.fchown(descriptor, found.st_uid, found.st_gid)


def user_name(uid: int) -> str:
    """Return a user's name, or the number if it has no name."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def foreign_owner_hint(path: Path) -> str | None:
    """Return the owner of a file and how to get access; None for root, our own file, a hidden or a missing one."""
    try:
        owner = path.stat().st_uid if os.name == "posix" and path.is_file() else None
    except OSError:
        return None
    if owner is None or os.geteuid() in {0, owner}:
        return None
    theirs, ours = user_name(owner), user_name(os.geteuid())
    hint = f": run this as {theirs}" if owner else ""  # never advise to run the panel as root
    return (
        f"{path} belongs to {theirs}{hint}. If {ours} is the panel's user, run as root: chown {ours} {path}"
    )


def repair_hint(path: Path | None) -> str:
    """Return the fix if a file, or another file with its name as a prefix, cannot be opened."""
    files = path.parent.glob(f"{path.name}*") if path else ()
    hints = filter(None, map(foreign_owner_hint, sorted(files)))
    return next(hints, "Its folder must be there and the panel's user must be able to write into it")


def is_mounted(path: Path) -> bool:
    """Return whether a file is mounted without its folder; False if the system does not tell (only Linux does)."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    # The fifth field is the mount point; a space in it is written as an octal number (proc(5)).
    points = {line.split(" ")[4] for line in mounts.splitlines()}
    return str(path.resolve()).replace(" ", r"\040") in points
