"""Samples of a service: answers as it publishes them, and the quotas that its definition must read in each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from integrations.accounts.build import declared
from integrations.accounts.file import Account
from integrations.accounts.rules import declared_defects
from integrations.files import yaml_model
from integrations.files.yaml_model import DefectsError, StrictModel, format_location
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.provider import DeclaredProvider
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import FailedQuota, Quota
from integrations.transport.response import Response, code_for_status

FILE: Final = "sample.yaml"
_NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)


def _aware(moment: object) -> object:
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return moment.replace(tzinfo=moment.tzinfo or UTC) if isinstance(moment, datetime) else moment


def _number(value: object) -> object:
    return Decimal(value) if isinstance(value, str) else value


Number = Annotated[Decimal, BeforeValidator(_number)]
Moment = Annotated[datetime, BeforeValidator(_aware)]
Code = Annotated[ErrorCode, Field(strict=False)]
_NUMBER: Final = 'a number in quotes, such as "12.50"'
_CODE: Final = "one of: " + ", ".join(ErrorCode)


class Expected(StrictModel):
    """A quota that must be read; or the name of a quota that must fail, and its error."""

    name: str | None = Field(default=None, description="the quota's name")
    unit: str | None = Field(default=None, description="the unit")
    used: Number | None = Field(default=None, description=_NUMBER)
    remaining: Number | None = Field(default=None, description=_NUMBER)
    total: Number | None = Field(default=None, description=_NUMBER)
    unlimited: bool = Field(default=False, description="true or false")
    renews_at: Moment | None = Field(default=None, description="a moment such as 2026-12-01T00:00:00Z")
    error: Code | None = Field(default=None, description=_CODE)

    @classmethod
    def of(cls, quota: Quota | FailedQuota) -> "Expected":
        """Return a quota in the form of a sample."""
        if isinstance(quota, FailedQuota):
            return cls.model_construct(name=quota.name, unit=quota.unit, error=quota.error.code)
        return cls.model_construct(
            name=quota.name,
            unit=quota.unit,
            used=quota.used,
            remaining=quota.remaining,
            total=quota.total,
            unlimited=quota.unlimited,
            renews_at=quota.renews_at,
        )

    def __str__(self) -> str:
        values = [(name, getattr(self, name)) for name in type(self).model_fields]
        return ", ".join(
            f"{name}: {_text(value)}" for name, value in values if value is not None and value is not False
        )


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"  # 5 and 5.0 are the same figure
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else str(value)


class Answer(StrictModel):
    """An answer, and the quotas that must be read in it, or the failure of the whole account."""

    status: int = Field(default=200, description="an HTTP status")
    headers: dict[str, str] = Field(default={}, description="names and texts")
    body: str = Field(default="", description="a text")
    readings: list[Expected] = Field(default=[], description="a list of quotas")
    error: Code | None = Field(default=None, description=_CODE)

    @property
    def response(self) -> Response:
        """The answer as the transport returns it."""
        return Response(self.status, _Headers(self.headers), self.body.encode())


class SampleAccount(Account):
    """The account of a sample."""

    service: str = Field(default="", description="nothing: it is the definition's folder")


class Sample(StrictModel):
    """The answers of a service; the first one is good."""

    account: SampleAccount = Field(default=SampleAccount(), description="keys of an account, such as values")
    now: Moment = Field(default=_NOW, description="a moment such as 2026-12-01T00:00:00Z")
    answers: list[Answer] = Field(min_length=1, description="a list of answers")


class _Headers(dict[str, str]):
    """Headers that are found in capitals and in small letters."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): text for name, text in headers.items()})

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's text."""
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The expected and the actual quotas of an answer, a line for each.

    Attributes:
        status: of the answer.
        expected: by the sample.
        read: by the definition.
        problems: why quotas could not be read.
    """

    status: int
    expected: tuple[str, ...]
    read: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether the definition reads the answer as the sample expects."""
        return self.expected == self.read


def compare(file: Path) -> Iterator[Comparison]:
    """Yield a comparison for each answer of the sample next to a definition.

    Args:
        file: the definition, in a folder that has the service's name.

    Raises:
        FileNotFoundError: one of the two files is missing.
        DefectsError: one of them has defects.
    """
    definition, _ = yaml_model.read(file, Definition)
    sample, provider = load(file.resolve().parent.name, definition, file.with_name(FILE))
    for answer in sample.answers:
        expected = (str(answer.error),) if answer.error else tuple(map(str, answer.readings))
        yield Comparison(answer.status, expected, *_read(provider, answer.response, sample.now))


def load(service: str, definition: Definition, file: Path) -> tuple[Sample, DeclaredProvider]:
    """Return a sample and its account.

    Raises:
        FileNotFoundError: there is no such file.
        DefectsError: the file has defects, or its account does not fit the definition.
    """
    sample, document = yaml_model.read(file, Sample)
    account = sample.account.model_copy(update={"service": service})
    defects = [
        (document.locate(("account", *place))[1], f"{format_location(('account', *place))}: {text}")
        for place, text in declared_defects(account, definition)
    ]
    if defects:
        raise DefectsError.at(file, defects)
    return sample, declared(account, definition)


def _read(
    provider: DeclaredProvider, response: Response, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the quotas of an answer, or its failure; and the problems."""
    failure = provider.failure_in(response)
    code = failure.code if failure else code_for_status(response.status)
    if code is not None:
        return (str(code),), ()
    try:
        quotas = provider.quotas_in(response, now=now)
    except ProviderError as error:
        return (str(error.code),), (str(error),)
    failed = [str(quota.error) for quota in quotas if isinstance(quota, FailedQuota)]
    return tuple(str(Expected.of(quota)) for quota in quotas), tuple(failed)
