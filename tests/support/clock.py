"""A clock that a test moves, for code that takes one as an argument."""

from dataclasses import dataclass


@dataclass
class Clock:
    """A call returns the seconds in `now`."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
