"""docs/services.md against the catalogue."""

from integrations.accounts import catalogue
from scripts import services


def test_the_page_is_made_from_the_definitions() -> None:
    """As `python scripts/services.py` writes it."""
    assert services.DOCUMENT.read_text(encoding="utf-8") == services.document()


def test_nothing_is_both_in_the_catalogue_and_left_out() -> None:
    """A service is one or the other."""
    left_out = services.document().partition("left out")[2]
    for name in catalogue.names():
        assert f"\n| {catalogue.definition(name).label} |" not in left_out
