"""A terminal that a test opens, has a process started at, and closes."""

import os
import pty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from tests.support.processes import Process, process

HEARS_HANGUPS: Final = ("env", "--default-signal=HUP")
"""Before a command: SIGHUP reaches it, though the tests themselves may run under `nohup`."""


@contextmanager
def at_a_terminal(
    command: Sequence[str], log_file: Path, environment: Mapping[str, str]
) -> Iterator[tuple[Process, FileIO]]:
    """A process as somebody starts it by hand, in the folder of its log; and the window, which can be closed.

    The terminal is its controlling one, so that the kernel tells it and its children of the end, by SIGHUP.
    """
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as window, os.fdopen(theirs, "rb", buffering=0) as inside:
        typed = ["setsid", "--ctty", *HEARS_HANGUPS, *command]
        folder = log_file.parent
        with process(typed, log_file, environment, cwd=folder, stdin=inside.fileno()) as running:
            yield running, window
