"""The services that come with the panel: a definition each, beside the providers."""

from functools import cache
from pathlib import Path
from typing import Final

from integrations import providers
from integrations.files import yaml_file
from integrations.providers.declared.definition import Definition

FOLDER: Final = Path(providers.__file__).parent / "catalogue"


@cache
def names() -> tuple[str, ...]:
    """Every service of the catalogue, in the order of the alphabet."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def text_of(name: str) -> str:
    """The definition as it is written."""
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def definition(name: str) -> Definition:
    """The definition of a service."""
    return Definition.model_validate(yaml_file.load(text_of(name)).value)
