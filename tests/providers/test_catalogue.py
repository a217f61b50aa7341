"""The catalogue: every definition is whole, and reads its sample answers as the samples say."""

import pytest

from integrations.accounts import catalogue
from integrations.accounts.samples import compare
from integrations.ui import icons
from tests.providers import samples

LEAST = 40
NAMES = catalogue.names()


def test_there_are_at_least_40() -> None:
    """Each has samples, and all samples have a definition."""
    assert len(NAMES) >= LEAST
    assert sorted(file.parent.name for file in catalogue.FOLDER.glob("*/sample.yaml")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_whole_and_short(name: str) -> None:
    """It has a page of documentation, a check with its date, an icon that is known, and at most 30 lines."""
    definition = catalogue.definition(name)
    assert definition.docs
    assert definition.checked
    assert definition.icon != ":material/api:"
    assert icons.is_known(definition.icon)
    assert definition.request.url.startswith("https://")
    assert len(catalogue.text_of(name).splitlines()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_read_as_it_says(name: str) -> None:
    """The first answer is good, another one rejects the key; each has exactly its figures or its failure."""
    answers = samples.sample(name).answers
    assert answers[0].readings
    assert answers[0].error is None
    assert any(answer.error is not None for answer in answers)
    for comparison in compare(catalogue.FOLDER / name / catalogue.DEFINITION):
        assert comparison.read == comparison.expected, comparison.problems
