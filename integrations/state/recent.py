"""For how long what was read from the state need not be read again.

A run of a page looks at the same things many times, and a page has a card for every account. Where the state answers
at once, that matters little. Where each answer takes a third of a second, a run that waited for dozens of them would
take as many seconds; so what took long to read serves the longer.
"""

import time
from typing import Final

_LEAST_SECONDS: Final = 0.05
_MOST_SECONDS: Final = 2.0
_TIMES: Final = 8
"""A click on Refresh waits for seven answers, one after the other: the first is still recent then."""


def good_until(began: float) -> float:
    """Until when what was read just now may be shown, by the monotonic clock.

    For a twentieth of a second, or eight times as long as reading it took, but for two seconds at the most. All of it
    counts from the moment at which reading began: what was changed after that may not be in it.

    Args:
        began: when reading began, by that clock.
    """
    took = time.monotonic() - began
    return began + min(max(_TIMES * took, _LEAST_SECONDS), _MOST_SECONDS)
