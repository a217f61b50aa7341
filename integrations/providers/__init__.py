"""What can be asked for its quota. A service that a definition describes needs no line here; one in Python has it."""

from collections.abc import Mapping
from typing import Any, Final

from integrations.providers.base import Provider
from integrations.providers.imai import Imai

PYTHON: Final[Mapping[str, type[Provider[Any]]]] = {"imai": Imai}
"""The services that are written in Python, by their names in the providers' file."""
