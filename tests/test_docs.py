"""The documents name everything there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from integrations.cli.main import main
from integrations.providers import PYTHON
from integrations.quota.errors import ErrorCode
from integrations.settings import PanelSettings, ProviderSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def settings() -> Iterator[str]:
    """Every variable that the panel and its providers read."""
    kinds: list[type[PanelSettings | ProviderSettings]] = [PanelSettings]
    kinds += [provider.settings_class for provider in PYTHON.values()]
    for kind in kinds:
        yield from (kind.variable(field) for field in kind.model_fields)


@pytest.mark.parametrize("name", sorted(settings()))
def test_the_readme_has_every_setting(name: str) -> None:
    """A setting stands in the README's table."""
    assert f"| `{name}` |" in README


CONTEXT = click.Context(main)


@pytest.mark.parametrize("name", main.list_commands(CONTEXT))
def test_the_readme_has_every_command(name: str) -> None:
    """A command stands in the README's table, and each of its subcommands in that row."""
    row = re.search(rf"^\| `integrations {name}` \|.*$", README, re.MULTILINE)
    assert row is not None
    command = main.get_command(CONTEXT, name)
    for part in command.commands if isinstance(command, click.Group) else ():
        assert f"`{part}`" in row[0]


@pytest.mark.parametrize("code", list(ErrorCode))
def test_the_states_are_explained(code: ErrorCode) -> None:
    """An error code stands in the page for monitors."""
    assert f"`{code}`" in (ROOT / "docs" / "usage-json.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")))
def test_links_lead_somewhere(document: Path) -> None:
    """Every file that a document links to is there."""
    links = re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"#]+)", document.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (document.parent / link).exists(), link
