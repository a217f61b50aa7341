"""A limit on guessing, for the whole process: attempts are reserved before a password is looked at."""

import threading
from typing import Final

import limits
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

PER_NAME: Final = limits.parse("5 per 15 minutes")
IN_ALL: Final = limits.parse("300 per 15 minutes")


class Throttle:
    """At most 5 attempts a name and 300 in all in any 15 minutes; time alone unlocks."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()

    def reserve(self, name: str) -> bool:
        """Take one attempt for this name, if there is one left."""
        with self._lock:
            # A locked name must not use up what is left for all, and a name costs memory only while some is left.
            return (
                self._limiter.test(IN_ALL, "all")
                and self._limiter.hit(PER_NAME, "name", name)
                and self._limiter.hit(IN_ALL, "all")
            )

    def reserve_for_all(self) -> bool:
        """Take one attempt that belongs to no name."""
        with self._lock:
            return self._limiter.hit(IN_ALL, "all")

    def clear(self, name: str) -> None:
        """Give a name its attempts back, after the right password."""
        with self._lock:
            self._limiter.clear(PER_NAME, "name", name)
