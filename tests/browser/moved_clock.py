"""Runs the command `integrations` with a clock that the test moves: by the seconds that stand in a file."""

import threading
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


if __name__ == "__main__":
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        threading.Thread(target=follow, args=(Path(argv.pop(1)), clock), daemon=True).start()
        main()
