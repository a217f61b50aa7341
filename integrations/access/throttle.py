"""A limit on guessing, for the whole process: attempts are reserved before a password is looked at."""

import threading
from typing import Final

PER_NAME: Final = "5 per 15 minutes"
IN_ALL: Final = "300 per 15 minutes"
ONCE: Final = "1 per 15 minutes"


class Throttle:
    """At most 5 attempts a name and 300 in all in any 15 minutes; time alone unlocks."""

    def __init__(self) -> None:
        import limits  # noqa: PLC0415 - heavy: the start does not wait for it
        from limits.storage import MemoryStorage  # noqa: PLC0415
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_name = limits.parse(PER_NAME)
        self._in_all = limits.parse(IN_ALL)
        self._once = limits.parse(ONCE)
        self._lock = threading.Lock()

    def reserve(self, name: str) -> bool:
        """Take one attempt for this name, if there is one left."""
        with self._lock:
            # A locked name must not use up what is left for all, and a name costs memory only while some is left.
            return (
                self._limiter.test(self._in_all, "all")
                and self._limiter.hit(self._per_name, "name", name)
                and self._limiter.hit(self._in_all, "all")
            )

    def reserve_for_all(self) -> bool:
        """Take one attempt that belongs to no name."""
        with self._lock:
            return self._limiter.hit(self._in_all, "all")

    def is_new_lock(self, name: str) -> bool:
        """Whether a refusal is the first of its lock, of a name's or of everybody's: the one to be logged."""
        with self._lock:
            # A name that is refused because of all the others must cost no memory.
            own = not self._limiter.test(self._per_name, "name", name)
            return self._limiter.hit(self._once, "lock", name if own else "")

    def clear(self, name: str) -> None:
        """Give a name its attempts back, after the right password."""
        with self._lock:
            self._limiter.clear(self._per_name, "name", name)
