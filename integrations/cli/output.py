"""Standard output that cannot be written."""

import errno
import os
import sys
from contextlib import suppress
from typing import Final

_CODES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def is_lost(error: Exception) -> bool:
    """Whether the system says so where a file, or what is behind it, takes no more."""
    return isinstance(error, OSError) and error.errno in _CODES


def drop() -> None:
    """Forget what was not written, and write nothing more: Python would try once more at its end, and exit with 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):  # a test's output is no file
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
