"""The catalogue's samples: answers as services publish them, and what must come of them."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from integrations.accounts import catalogue
from integrations.accounts.build import declared
from integrations.accounts.file import Account
from integrations.files import yaml_file
from integrations.files.yaml_model import Entry
from integrations.providers.declared.provider import Declared
from integrations.quota.errors import ErrorCode

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def aware(moment: object) -> object:
    """A moment in UTC, written with quotes or without."""
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return moment.replace(tzinfo=moment.tzinfo or UTC) if isinstance(moment, datetime) else moment


Number = Annotated[Decimal, BeforeValidator(lambda text: Decimal(text) if isinstance(text, str) else text)]
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
    """A file of answers; the first one is good."""

    account: dict[str, Any] = Field(default={})
    now: Aware = NOW
    answers: list[Answer]


@cache
def sample(name: str) -> Sample:
    """The samples of a service."""
    text = (catalogue.FOLDER / name / "sample.yaml").read_text(encoding="utf-8")
    return Sample.model_validate(yaml_file.load(text).value)


def account_at(name: str, url: str | None = None) -> Declared:
    """The account of a service's samples; asked at a server of the test where there is one."""
    account = Account.model_validate({"service": name, **sample(name).account})
    definition = catalogue.definition(name)
    if url is not None:
        tail = definition.request.url.partition("://")[2].partition("/")[2]
        request = definition.request.model_copy(update={"url": f"{url}/{tail}"})
        definition = definition.model_copy(update={"request": request})
    return declared(account, definition)
