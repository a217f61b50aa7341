"""A limit on guessing, for all processes together: attempts are reserved before a password is looked at."""

import hashlib
from typing import Final

from integrations.state import State

PER_NAME: Final = "5 per 15 minutes"
IN_ALL: Final = "300 per 15 minutes"
ONCE: Final = "1 per 15 minutes"


def _digest(name: str) -> str:
    """What is kept of a name: people type passwords in its place."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


class Throttle:
    """At most 5 attempts a name and 300 in all in any 15 minutes. Safe from any thread and process.

    Every method raises `StateError` where nothing can be counted.

    Args:
        state: where attempts are counted.
        purpose: what they are attempts at; each purpose is counted by itself.
    """

    def __init__(self, state: State, purpose: str) -> None:
        import limits  # noqa: PLC0415 - heavy: the start does not wait for it
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

        self._limiter = MovingWindowRateLimiter(state.attempts())
        self._purpose = purpose
        self._per_name = limits.parse(PER_NAME)
        self._in_all = limits.parse(IN_ALL)
        self._once = limits.parse(ONCE)

    def reserve(self, name: str) -> bool:
        """Take one attempt for this name, if there is one left."""
        # A locked name must not use up what is left for all, and a name costs memory only while some is left.
        return (
            self._limiter.test(self._in_all, self._purpose, "all")
            and self._limiter.hit(self._per_name, self._purpose, "name", _digest(name))
            and self._limiter.hit(self._in_all, self._purpose, "all")
        )

    def reserve_for_all(self) -> bool:
        """Take one attempt that belongs to no name."""
        return self._limiter.hit(self._in_all, self._purpose, "all")

    def is_new_lock(self, name: str) -> bool:
        """Whether a refusal is the first of its lock, of a name's or of everybody's: the one to be logged."""
        # A name that is refused because of all the others must cost no memory.
        own = not self._limiter.test(self._per_name, self._purpose, "name", _digest(name))
        return self._limiter.hit(self._once, self._purpose, "lock", _digest(name) if own else "all")

    def clear(self, name: str) -> None:
        """Give a name its attempts back, after the right password or by hand; what counts for all stays."""
        self._limiter.clear(self._per_name, self._purpose, "name", _digest(name))
        self._limiter.clear(self._once, self._purpose, "lock", _digest(name))
