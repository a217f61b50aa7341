"""Counts the calls to each provider since the process started."""

import threading
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Traffic:
    """The fetches of one provider, their HTTP requests, and the seconds that they took in all."""

    fetches: int = 0
    requests: int = 0
    seconds: float = 0.0


_lock: Final = threading.Lock()
_by_label: Final[dict[str, Traffic]] = {}


def add(label: str, *, requests: int, seconds: float) -> None:
    """Count one fetch of a provider."""
    with _lock:
        before = _by_label.get(label, Traffic())
        _by_label[label] = replace(
            before,
            fetches=before.fetches + 1,
            requests=before.requests + requests,
            seconds=before.seconds + seconds,
        )


def by_provider() -> dict[str, Traffic]:
    """Return the counts by the provider's label."""
    with _lock:
        return dict(_by_label)


def reset() -> None:
    """Forget all counts; for tests."""
    with _lock:
        _by_label.clear()
