"""To whom files belong: root's commands make them for a panel that runs as somebody else."""

import os
from pathlib import Path

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def make_file(path: Path) -> None:
    """Make an empty file with mode 0600 where there is none; one that root makes belongs to its folder's owner."""
    try:
        descriptor = os.open(path, _NEW_FILE, 0o600)
    except FileExistsError:
        return
    try:
        give(descriptor, path.parent)
    finally:
        os.close(descriptor)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it, where there is none; what root makes belongs to the owner above it."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    path.mkdir(mode, exist_ok=True)
    if os.name == "posix":
        descriptor = os.open(path, _FOLDER)
        try:
            give(descriptor, path.parent)
        finally:
            os.close(descriptor)


def give(descriptor: int, like: Path) -> None:
    """Run by root, let a file that was just made belong to whom another file or its folder belongs.

    Args:
        descriptor: of the open file: by its name somebody could have put another one into its place.
        like: the other file, or the folder.
    """
    if os.name == "posix" and os.geteuid() == 0:
        found = like.stat()
        os.fchown(descriptor, found.st_uid, found.st_gid)


def name_of(uid: int) -> str:
    """A user's name; the number where there is no name."""
    import pwd  # noqa: PLC0415 - not everywhere

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def stranger(path: Path) -> str | None:
    """Whose a file is, and how it becomes ours; None where it is ours, hidden or no file, and for root."""
    try:
        owner = path.stat().st_uid if os.name == "posix" and path.is_file() else None
    except OSError:
        return None
    if owner is None or os.geteuid() in {0, owner}:
        return None
    theirs, ours = name_of(owner), name_of(os.geteuid())
    hint = f": run this as {theirs}" if owner else ""  # nobody is told to run the panel as root
    return f"{path} belongs to {theirs}{hint}. Where {ours} is the panel's user, run as root: chown {ours} {path}"
