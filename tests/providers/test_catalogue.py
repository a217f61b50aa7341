"""The catalogue: every definition is whole, and reads its sample answers as the samples say."""

from typing import Any

import pytest
import time_machine

from integrations.accounts import catalogue
from integrations.quota.errors import ProviderError
from integrations.quota.models import Quota
from integrations.transport.response import Response, code_for_status
from integrations.ui import icons
from tests.providers import samples

LEAST = 40
NAMES = catalogue.names()


def test_there_are_at_least_40() -> None:
    """And every one has its samples, and every sample its definition."""
    assert len(NAMES) >= LEAST
    assert sorted(file.parent.name for file in catalogue.FOLDER.glob("*/sample.yaml")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_whole_and_short(name: str) -> None:
    """It says where it is documented, how and when it was checked, and has an icon of its own kind; in 30 lines."""
    definition = catalogue.definition(name)
    assert definition.docs
    assert definition.checked
    assert definition.icon != ":material/api:"
    assert icons.is_known(definition.icon)
    assert definition.request.url.startswith("https://")
    assert len(catalogue.text_of(name).splitlines()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_a_service_has_a_good_sample_and_one_of_a_wrong_key(name: str) -> None:
    """The first answer is good; another one tells that the key was rejected."""
    answers = samples.sample(name).answers
    assert answers[0].readings
    assert answers[0].error is None
    assert any(answer.error is not None for answer in answers)


CASES = [(name, index) for name in NAMES for index in range(len(samples.sample(name).answers))]


@pytest.mark.parametrize(("name", "index"), CASES, ids=[f"{name}-{index}" for name, index in CASES])
def test_a_sample_is_read_as_it_says(name: str, index: int) -> None:
    """The failure by its code, or the figures exactly: what the answer does not tell stays unknown."""
    file = samples.sample(name)
    answer = file.answers[index]
    provider = samples.account_at(name)
    response = Response(answer.status, Headers(answer.headers), answer.body.encode())
    failure = provider.failure_in(response)
    code = failure.code if failure else code_for_status(answer.status)
    if code is None and answer.error is None:
        with time_machine.travel(file.now, tick=False):
            quotas = provider.quotas_in(response)
        assert [shown(quota) for quota in quotas] == [expected.model_dump() for expected in answer.readings]
    elif code is None:
        with pytest.raises(ProviderError) as caught:
            provider.quotas_in(response)
        assert caught.value.code is answer.error
    else:
        assert code is answer.error


class Headers(dict[str, str]):
    """Headers by their names in whatever capitals."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__({name.lower(): text for name, text in headers.items()})

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as of a dict
        """A header's text."""
        return super().get(name.lower(), default)


def shown(quota: Quota) -> dict[str, object]:
    """A quota in the sample's form."""
    return {name: getattr(quota, name) for name in samples.Expected.model_fields}
