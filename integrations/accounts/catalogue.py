"""The services that come with the panel: a folder each, with a definition and a sample of its answers."""

from functools import cache
from pathlib import Path
from typing import Final

from integrations import providers
from integrations.files import yaml_model
from integrations.providers.declared.definition import Definition

FOLDER: Final = Path(providers.__file__).parent / "catalogue"
DEFINITION: Final = "definition.yaml"


@cache
def names() -> tuple[str, ...]:
    """Return the names of all services, sorted."""
    return tuple(sorted(file.parent.name for file in FOLDER.glob(f"*/{DEFINITION}")))


def text_of(name: str) -> str:
    """Return the text of a service's definition."""
    return (FOLDER / name / DEFINITION).read_text(encoding="utf-8")


@cache
def definition(name: str) -> Definition:
    """Return the definition of a service."""
    return yaml_model.read(FOLDER / name / DEFINITION, Definition)[0]
