"""What was asked of each provider since the process began."""

import threading
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Traffic:
    """The fetches of one provider, the HTTP requests in them, and the seconds that they took together."""

    fetches: int = 0
    requests: int = 0
    seconds: float = 0.0


_lock: Final = threading.Lock()
_traffic: Final[dict[str, Traffic]] = {}


def add(label: str, *, requests: int, seconds: float) -> None:
    """Count one fetch of a provider."""
    with _lock:
        kept = _traffic.get(label, Traffic())
        _traffic[label] = replace(
            kept,
            fetches=kept.fetches + 1,
            requests=kept.requests + requests,
            seconds=kept.seconds + seconds,
        )


def traffic() -> dict[str, Traffic]:
    """What was counted, by provider."""
    with _lock:
        return dict(_traffic)


def reset() -> None:
    """Begin anew."""
    with _lock:
        _traffic.clear()
