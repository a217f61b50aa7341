"""The providers. Services with a definition need no line here; those written in Python do."""

from collections.abc import Mapping
from typing import Any, Final

from integrations.providers.base import Provider
from integrations.providers.imai import Imai

PYTHON: Final[Mapping[str, type[Provider[Any]]]] = {"imai": Imai}
"""The services that are written in Python, by their names in the providers' file."""
