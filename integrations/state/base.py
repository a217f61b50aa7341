"""What an engine of the state offers, and how it fails."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

PREFIX: Final = "integrations-1:"
"""Begins every key. The number is the version of the records: two versions do not read each other's records.

A new field with a default needs no new number, and a new number signs everybody out.
"""


class StateError(Exception):
    """The state cannot be used now. The text is for the log: the place, the problem and the fix, and no secret."""


class UnusableStateError(StateError):
    """The state stays unusable until a person repairs it; the panel does not start on it."""


class State(Protocol):
    """Texts that expire, locks, and counts of attempts. Safe from any thread.

    Every call may raise `StateError`, and none but `lock` waits much longer than two seconds.
    """

    def get(self, key: str) -> str | None:
        """Return the text of a key, or None."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the texts of those of these keys that have one, in one call of the engine."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Set the text of a key; it expires after these seconds."""

    def replace(self, key: str, text: str) -> None:
        """Change the text of a key that has one, and not its expiry."""

    def take(self, key: str) -> str | None:
        """Remove the text of a key and return it; of several callers only the first gets it."""

    def items(self, prefix: str) -> dict[str, str]:
        """Return all texts whose keys begin with a prefix, by key."""

    def lock(self, name: str, *, wait: float) -> AbstractContextManager[bool]:
        """Hold a lock of all processes; yield whether it was acquired within `wait` seconds.

        If its holder dies, the lock is free within 3 seconds. Not re-entrant.
        """

    def reserve(self, key: str, limit: int, seconds: float) -> bool:
        """Count one attempt, unless `limit` attempts were counted within the last seconds; one atomic step."""

    def count(self, key: str, seconds: float) -> int:
        """Return how many attempts were counted within the last seconds."""

    def forget(self, key: str) -> None:
        """Remove the attempts of a key."""

    def check(self) -> None:
        """Write, read and remove something; raise `StateError` if that fails."""

    def close(self) -> None:
        """Release files and connections."""
