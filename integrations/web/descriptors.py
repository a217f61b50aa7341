"""How many websockets the process has descriptors for."""

import sys
from typing import Final

if sys.platform != "win32":
    import resource

DESCRIPTORS_EACH: Final = 4
"""A websocket's own, and three of the event loop that Streamlit gives each running script."""

RESERVED: Final = 256
"""For requests, calls to providers, files, and the process itself."""

MAX_WEBSOCKETS: Final = 2000
"""However many descriptors there are: each open page also takes memory."""


def raise_limit() -> None:
    """Take as many descriptors as the system lets this process have."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_websockets() -> int:
    """How many websockets may be open at once, all clients together."""
    if sys.platform == "win32":
        return MAX_WEBSOCKETS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_WEBSOCKETS
    return max(min(MAX_WEBSOCKETS, (soft - RESERVED) // DESCRIPTORS_EACH), 1)
