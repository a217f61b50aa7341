"""The base class of providers: label, settings, and the mapping of an answer to quotas."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from integrations.quota.errors import ErrorCode, ProviderError, SettingsError
from integrations.quota.models import MAX_DECIMALS, MAX_FIGURE, FailedQuota, Quota
from integrations.quota.rules import NO_FLOORS, Floors
from integrations.settings import ProviderSettings
from integrations.transport.response import Response, code_for_status

if TYPE_CHECKING:
    from integrations.transport.client import Client


def _json_number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a JSON number")
    return Decimal(value)


Amount = Annotated[
    Decimal,
    BeforeValidator(_json_number),
    Field(allow_inf_nan=False, ge=-MAX_FIGURE, le=MAX_FIGURE, decimal_places=MAX_DECIMALS),
]
"""A figure of an answer: a JSON number within ±10¹²; never a string, true, NaN or Infinity."""


class Payload(BaseModel):
    """The fields that are read of an answer; all others are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else repr(value)


Settings = TypeVar("Settings", bound=ProviderSettings)


class Provider(ABC, Generic[Settings]):
    """An account at a service. A subclass is one file in this folder and one line in `PYTHON`.

    Attributes:
        label: the provider's name for people, and `provider` in the JSON. Unique.
        icon: a Material symbol (`:material/…:`) for the card.
        every: the shortest time between two fetches, clicks included; None for no limit.
        settings_class: its settings, with a prefix of their own.
        total_setting: the field that holds the total, if the provider's API does not state it.
        unit: the unit of all figures, if it is known before any answer.
        quota_count: the least number of quotas in a good answer.
        floors: the amounts at which the account counts as low, by the quota's name; None: for any quota.
        note: a sentence about the account, such as its owner.
        service_note: a sentence about the service, from its definition.
        console: the https address at which a person tops up.
        codes: the kind of failure behind each of the provider's own error codes.
        status_codes: the kind of failure behind an HTTP status with an unusual meaning.
    """

    label: str
    icon: str = ":material/api:"
    every: timedelta | None = None
    settings_class: type[Settings]
    total_setting: ClassVar[str | None] = None
    unit: str | None = None
    quota_count: int = 1
    floors: Mapping[str | None, Floors] = MappingProxyType({})
    note: str | None = None
    service_note: str | None = None
    console: str | None = None
    codes: ClassVar[Mapping[str, ErrorCode]] = {}
    status_codes: ClassVar[Mapping[int, ErrorCode]] = {}

    def __init__(self, name: str | None = None) -> None:
        """Name one of several accounts; the name follows the label and the prefix of its variables."""
        if name is not None:
            self.label = f"{self.label} {name}"
            self.settings_class = self.settings_class.of_account(name)

    @cached_property
    def settings(self) -> Settings:
        """The provider's settings, read once; `reload_missing_keys` reads them again.

        Raises:
            SettingsError: a value is wrong.
        """
        return self.settings_class.load()

    @cached_property
    def identity(self) -> str:
        """A digest of all that figures and levels depend on, secrets included, but for the panel's settings."""
        floors = [repr(item) for item in sorted(self.floors.items(), key=str)]
        return hashlib.sha256("\n".join([*self._traits(), *floors]).encode()).hexdigest()

    def floors_of(self, quota_name: str | None) -> Floors:
        """Return the floors of a quota; those without a name hold for any."""
        return self.floors.get(quota_name) or self.floors.get(None) or NO_FLOORS

    def reload_missing_keys(self) -> None:
        """Read the settings again if a key is missing, as it may have been added to `.env`; this changes `identity`."""
        if not self.missing_variables:
            return
        with suppress(SettingsError):
            vars(self)["settings"] = self.settings_class.load()
            vars(self).pop("identity", None)

    def _traits(self) -> list[str]:
        """Return what distinguishes this account, as texts that are the same in every process."""
        settings = self.settings
        values = {name: getattr(settings, name) for name in type(settings).model_fields}
        return [f"{name}={_plain(value)}" for name, value in values.items()]

    @property
    def key_variable(self) -> str:
        """The environment variable that holds the key."""
        return self.settings_class.variable("api_key")

    @property
    def total_hint(self) -> str | None:
        """The environment variable that states the total, if the provider's API does not."""
        return self.settings_class.variable(self.total_setting) if self.total_setting else None

    @property
    def key(self) -> str:
        """The key, for a request's header and nothing else.

        Raises:
            ProviderError: `not_configured`.
        """
        if self.settings.api_key is None:
            raise ProviderError(ErrorCode.NOT_CONFIGURED, f"{self.key_variable} is not set")
        return self.settings.api_key.get_secret_value()

    @property
    def configured(self) -> dict[str, bool]:
        """The environment variables of the account's keys, and whether each is set."""
        return {self.key_variable: self.settings.api_key is not None}

    @property
    def missing_variables(self) -> list[str]:
        """The variables of the keys that are not set."""
        return [variable for variable, is_set in self.configured.items() if not is_set]

    @abstractmethod
    def fetch(self, http: "Client") -> Quota | Sequence[Quota | FailedQuota]:
        """Fetch once and map the answer. A quota that cannot be read may be returned next to others.

        Args:
            http: every call goes through it, as it holds the deadline.

        Raises:
            ProviderError: the fetch failed.
        """

    def vendor_code(self, document: Mapping[str, Any]) -> str | None:
        """Return the provider's own error code in an answer, or None if it states no error.

        Args:
            document: the answer, a JSON object with values of any type.
        """
        del document
        return None

    def failure_in(self, response: Response) -> ProviderError | None:
        """Return the failure that the HTTP status and the provider's own code state together."""
        by_status = self.status_codes.get(response.status)
        stated = self._stated_in(response)
        if stated is None:
            return ProviderError(by_status, http_status=response.status) if by_status else None
        by_status = by_status or code_for_status(response.status) or ErrorCode.INVALID_RESPONSE
        code = self.codes.get(stated, by_status)
        known = stated if stated in self.codes else "unknown"  # an unknown one could hold anything
        return ProviderError(code, http_status=response.status, vendor_code=known)

    def _stated_in(self, response: Response) -> str | None:
        try:
            document = response.json()
        except ProviderError:
            return None
        stated = self.vendor_code(document) if isinstance(document, dict) else None
        return (
            None if stated is None else str(stated)
        )  # a subclass may hand on what was sent, of whatever type
