"""docs/services.md against the catalogue."""

import pytest

from integrations.accounts import catalogue
from scripts import services
from tests.providers.definitions import definition


def test_the_page_is_made_from_the_definitions() -> None:
    """As `python -m scripts.services` writes it."""
    assert services.DOCUMENT.read_text(encoding="utf-8") == services.document()


def test_nothing_is_both_in_the_catalogue_and_left_out() -> None:
    """A service is one or the other."""
    left_out = services.document().partition("left out")[2]
    for name in catalogue.names():
        assert f"\n| {catalogue.definition(name).label} |" not in left_out


@pytest.mark.parametrize(
    ("sources", "shown"),
    [
        ("", "client code, 2026-11-23; one source"),
        (", sources: [https://a.example]", "client code, 2026-11-23; [1](https://a.example) one source"),
        (
            ", sources: [https://a.example, https://b.example]",
            "client code, 2026-11-23; [1](https://a.example) [2](https://b.example)",
        ),
    ],
)
def test_the_page_links_the_sources_and_says_if_there_is_but_one(sources: str, shown: str) -> None:
    """Two independent sources are the rule."""
    checked = f"checked: {{date: 2026-11-23, by: client code{sources}}}"
    text = f"label: A\n{checked}\nrequest: {{url: https://a.example}}\nquotas: [{{unit: x, used: u}}]\n"
    assert services.known_by(definition(text)) == shown
