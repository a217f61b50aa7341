"""The file of variables that complete the environment: `.env`, or the file that `--env-file` names."""

import logging
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
"""Passes the path of another file than `.env` to child processes; it is not a setting."""

_EXPECTED: Final = "expected NAME=value, with quotes in pairs"
logging.getLogger("dotenv.main").disabled = True  # `check` reports the lines that it would warn of

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def path() -> Path:
    """Return the file's path; `.env` need not exist."""
    return Path(os.environ.get(VARIABLE) or ".env")


def use(file: Path) -> None:
    """Read this file instead of `.env`, in this process and its children."""
    os.environ[VARIABLE] = str(file.absolute())


def values() -> dict[str, str | None]:
    """Return the file's variables as written: `${NAME}` in a value stays as it is. Call `check` first."""
    return dotenv_values(path(), interpolate=False)


def variables() -> dict[str, str]:
    """Return the variables, in capitals, that have a value in the environment or else in the file."""
    both = (*values().items(), *os.environ.items())
    return {name.upper(): value for name, value in both if value}


def check() -> None:
    """Check that every line of the file can be read; python-dotenv skips the others.

    Raises:
        SettingsError: one line for each defect, with its place but not its text, which may be a key.
    """
    if defects := list(_defects(path())):
        raise SettingsError("\n".join(defects))


def _defects(file: Path) -> Iterator[str]:
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            yield f"{file}: a directory. Docker creates one if there is no file to mount. Remove it, create the file."
        elif not stat.S_ISFIFO(
            mode
        ):  # some password managers provide the file as a pipe, once for each reader
            lines = _unreadable_lines(file.read_text(encoding="utf-8"))
            yield from (f"{file}:{line}: cannot be read: {_EXPECTED}" for line in lines)
    except FileNotFoundError:
        if os.environ.get(VARIABLE):
            yield f"{VARIABLE}: {file}: there is no such file."
    except UnicodeDecodeError:
        yield f"{file}: not UTF-8 text. Save it as UTF-8."
    except OSError as error:
        yield f"{file}: cannot be read: {error.strerror}. Correct its permissions."


def _unreadable_lines(text: str) -> Iterator[int]:
    """Yield the first line of each part that is no assignment, no name alone and no comment."""
    for binding in parse_stream(StringIO(text.removeprefix("\ufeff"))):
        no_name = binding.key is not None and binding.value is None and _NAME.fullmatch(binding.key) is None
        if binding.error or no_name:
            before = binding.original.string
            blank = before[: len(before) - len(before.lstrip())]
            yield binding.original.line + blank.count("\n")
