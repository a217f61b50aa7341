"""The providers whose quota is shown. To add one: a file beside this one, and its line here."""

from typing import Any, Final

from integrations.providers.base import Provider
from integrations.providers.imai import Imai

PROVIDERS: Final[tuple[Provider[Any], ...]] = (Imai(),)
"""In the order of their cards."""
