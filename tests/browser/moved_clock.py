"""Runs the command `integrations` with a clock that the test moves: by the seconds that stand in a file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sys import argv

import time_machine

from integrations.cli.main import main


def follow(file: Path, traveller: time_machine.Traveller) -> None:
    """Shift the clock whenever the file says so."""
    moved = 0.0
    while True:
        asked = float(file.read_text() or 0) if file.exists() else 0.0
        if asked > moved:
            traveller.shift(timedelta(seconds=asked - moved))
            moved = asked
        threading.Event().wait(0.05)


@contextmanager
def moved_by(file: Path) -> Iterator[None]:
    """Let this process have such a clock."""
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        threading.Thread(target=follow, args=(file, clock), daemon=True).start()
        yield


if __name__ == "__main__":
    with moved_by(Path(argv.pop(1))):
        main()
