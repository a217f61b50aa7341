"""The file whose variables count where the environment has none: `.env`, or the one that `--env-file` names."""

import os
import re
import stat
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from integrations.quota.errors import SettingsError

VARIABLE: Final = "PANEL_ENV_FILE"
"""Hands the path of another file than `.env` on to the processes that this one starts; it is no setting."""

_EXPECTED: Final = "expected NAME=value, and a second quote where there is a first"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def path() -> Path:
    """The file's path; there need be no `.env`."""
    return Path(os.environ.get(VARIABLE) or ".env")


def use(file: Path) -> None:
    """Read this file in the place of `.env`, in this process and those that it starts."""
    os.environ[VARIABLE] = str(file.absolute())


def values() -> dict[str, str | None]:
    """The file's variables as they are written; call `check` first."""
    return dotenv_values(path(), interpolate=False)


def set_variables() -> set[str]:
    """The names, in capitals, that have a value in the environment or in the file."""
    return {name.upper() for name, value in {**values(), **os.environ}.items() if value}


def check() -> None:
    """Look whether every line of the file can be read; python-dotenv would leave out what cannot.

    Raises:
        SettingsError: one line for each defect, with its place and nothing of its text, which may be a key.
    """
    if defects := list(_defects(path())):
        raise SettingsError("\n".join(defects))


def _defects(file: Path) -> Iterator[str]:
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            yield f"{file}: a directory. Docker makes one where it finds no file to mount. Remove it, make the file."
        elif not stat.S_ISFIFO(mode):  # by a pipe some password managers serve it anew to each reader
            lines = _unreadable(file.read_text(encoding="utf-8"))
            yield from (f"{file}:{line}: cannot be read: {_EXPECTED}" for line in lines)
    except FileNotFoundError:
        if os.environ.get(VARIABLE):
            yield f"{VARIABLE}: {file}: there is no such file."
    except UnicodeDecodeError:
        yield f"{file}: not UTF-8 text. Save it as UTF-8."
    except OSError as error:
        yield f"{file}: cannot be read: {error.strerror}. Mend its permissions."


def _unreadable(text: str) -> Iterator[int]:
    """The lines at which something begins that is no assignment, no bare name and no comment."""
    for binding in parse_stream(StringIO(text.removeprefix("\ufeff"))):
        word = binding.key is not None and binding.value is None and _NAME.fullmatch(binding.key) is None
        if binding.error or word:
            before = binding.original.string
            blank = before[: len(before) - len(before.lstrip())]
            yield binding.original.line + blank.count("\n")
