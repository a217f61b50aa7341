"""A limit on guessing for all processes together: an attempt is counted before its password is checked."""

import hashlib
from typing import Final

from integrations.state import State

PER_NAME: Final = 5
IN_ALL: Final = 300
WINDOW_SECONDS: Final = 15 * 60


class Throttle:
    """Allows 5 attempts a name and 300 in all in any 15 minutes. Safe from any thread and process.

    Every method raises `StateError` if nothing can be counted.

    Args:
        state: where attempts are counted.
        purpose: the kind of attempts; each kind has a count of its own.
    """

    def __init__(self, state: State, purpose: str) -> None:
        self._state = state
        self._purpose = purpose
        self._all = f"{purpose}:all"

    def reserve(self, name: str) -> bool:
        """Take one attempt of this name, if one is left."""
        # Check the global limit first, so that neither a locked name nor an invented one adds rows.
        return (
            self._state.count(self._all, WINDOW_SECONDS) < IN_ALL
            and self._state.reserve(self._key("name", name), PER_NAME, WINDOW_SECONDS)
            and self.reserve_unnamed()
        )

    def reserve_unnamed(self) -> bool:
        """Take one attempt that belongs to no name."""
        return self._state.reserve(self._all, IN_ALL, WINDOW_SECONDS)

    def is_new_lock(self, name: str) -> bool:
        """Return whether this refusal is the first of a name's lock, or of everybody's: the one to log."""
        # A name that is refused because of the global limit must add no row.
        own = self._state.count(self._key("name", name), WINDOW_SECONDS) >= PER_NAME
        key = self._key("lock", name) if own else f"{self._purpose}:lock"
        return self._state.reserve(key, 1, WINDOW_SECONDS)

    def clear(self, name: str) -> None:
        """Give a name its attempts back, after the right password or by command; the global count stays."""
        self._state.forget(self._key("name", name))
        self._state.forget(self._key("lock", name))

    def _key(self, kind: str, name: str) -> str:
        """Return a key with a digest of the name: people type passwords in its place."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._purpose}:{kind}:{digest}"
