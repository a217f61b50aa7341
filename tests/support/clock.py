"""A clock that a test moves by hand, for what takes one as an argument."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Called, it tells the seconds that it was set to."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now
