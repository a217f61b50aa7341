"""A terminal that a test can close."""

import os
import pty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from tests.support.processes import Process, process

HEARS_HANGUPS: Final = ("env", "--default-signal=HUP")
"""A prefix of a command, so that SIGHUP reaches it even if the tests run under `nohup`."""


@contextmanager
def at_a_terminal(
    command: Sequence[str], log_file: Path, environment: Mapping[str, str]
) -> Iterator[tuple[Process, FileIO]]:
    """Run a process at a terminal, in the folder of its log; yield it and the terminal's window.

    It is the controlling terminal: when the window closes, the kernel sends SIGHUP to the process and its children.
    """
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as window, os.fdopen(theirs, "rb", buffering=0) as inside:
        typed = ["setsid", "--ctty", *HEARS_HANGUPS, *command]
        folder = log_file.parent
        with process(typed, log_file, environment, cwd=folder, stdin=inside.fileno()) as running:
            yield running, window
