"""The catalogue: every definition is whole, and reads its sample answers as the samples say."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
import time_machine
from pydantic import BeforeValidator, Field

from integrations import yaml_file
from integrations.accounts import build, catalogue
from integrations.accounts.file import Account
from integrations.errors import ErrorCode, ProviderError
from integrations.models import Quota
from integrations.providers.declared.provider import Declared
from integrations.transport.response import Response, code_for_status
from integrations.yaml_model import Entry

SAMPLES = catalogue.FOLDER / "samples"
LEAST = 40
NOW = datetime(2026, 11, 24, tzinfo=UTC)

Number = Annotated[Decimal, BeforeValidator(lambda text: Decimal(text) if isinstance(text, str) else text)]


def aware(moment: object) -> object:
    """A moment in UTC, written with quotes or without."""
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return moment.replace(tzinfo=moment.tzinfo or UTC) if isinstance(moment, datetime) else moment


Aware = Annotated[datetime, BeforeValidator(aware)]


class Expected(Entry):
    """A quota, as the mapping must give it."""

    name: str | None = None
    unit: str
    used: Number | None = None
    remaining: Number | None = None
    total: Number | None = None
    unlimited: bool = False
    renews_at: Aware | None = None


class Answer(Entry):
    """An answer in the service's published form, and what must come of it."""

    status: int = 200
    headers: dict[str, str] = Field(default={})
    body: str = ""
    readings: list[Expected] = Field(default=[])
    error: Annotated[ErrorCode, Field(strict=False)] | None = None


class Sample(Entry):
    """A file of answers."""

    account: dict[str, Any] = Field(default={})
    now: Aware = NOW
    answers: list[Answer]


def sample(name: str) -> Sample:
    """The samples of a service."""
    text = (SAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    return Sample.model_validate(yaml_file.load(text).value)


def declared(name: str, tmp_path: Path, stated: dict[str, Any]) -> Declared:
    """The provider of an account at the service, through a file as an operator writes it."""
    account = {"service": name, **stated}
    Account.model_validate(account)
    file = tmp_path / "providers.yaml"
    file.write_text(yaml_text(account), encoding="utf-8")
    (provider,) = build.load(file)
    assert isinstance(provider, Declared)
    return provider


def yaml_text(account: dict[str, Any]) -> str:
    """An account as the only entry of a file."""
    return "accounts:\n  - {" + ", ".join(f"{key}: {flow(value)}" for key, value in account.items()) + "}\n"


def flow(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {flow(inner)}' for key, inner in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


NAMES = catalogue.names()


def test_there_are_at_least_40() -> None:
    """And every one has its samples, and every sample its definition."""
    assert len(NAMES) >= LEAST
    assert sorted(file.stem for file in SAMPLES.glob("*.yaml")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_whole_and_short(name: str) -> None:
    """It says where it is documented, how and when it was checked, and has an icon of its own kind; in 30 lines."""
    definition = catalogue.definition(name)
    assert definition.docs
    assert definition.checked
    assert definition.icon != ":material/api:"
    assert definition.request.url.startswith("https://")
    assert len(catalogue.text_of(name).splitlines()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_a_service_has_a_good_sample_and_one_of_a_wrong_key(name: str) -> None:
    """The first answer is good; another one tells that the key was rejected."""
    answers = sample(name).answers
    assert answers[0].readings
    assert answers[0].error is None
    assert any(answer.error is not None for answer in answers)


CASES = [(name, index) for name in NAMES for index in range(len(sample(name).answers))]


@pytest.mark.parametrize(("name", "index"), CASES, ids=[f"{name}-{index}" for name, index in CASES])
def test_a_sample_is_read_as_it_says(name: str, index: int, tmp_path: Path) -> None:
    """The failure by its code, or the figures exactly: what the answer does not tell stays unknown."""
    samples = sample(name)
    answer = samples.answers[index]
    provider = declared(name, tmp_path, samples.account)
    response = Response(answer.status, Headers(answer.headers), answer.body.encode())
    failure = provider.failure_in(response)
    code = failure.code if failure else code_for_status(answer.status)
    if code is None and answer.error is None:
        with time_machine.travel(samples.now, tick=False):
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
    return {name: getattr(quota, name) for name in Expected.model_fields}
