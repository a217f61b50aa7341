"""What a provider is: a label, settings, and how its answer becomes quotas."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from integrations.quota.errors import ErrorCode, ProviderError, SettingsError
from integrations.quota.models import MAX_DECIMALS, MAX_FIGURE, Quota
from integrations.settings import ProviderSettings
from integrations.transport.response import Response, code_for_status

if TYPE_CHECKING:
    from integrations.transport.client import Client


def _json_number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a JSON number")  # noqa: TRY004 - pydantic reports ValueErrors
    return Decimal(value)


Amount = Annotated[
    Decimal,
    BeforeValidator(_json_number),
    Field(allow_inf_nan=False, ge=-MAX_FIGURE, le=MAX_FIGURE, decimal_places=MAX_DECIMALS),
]
"""A figure of an answer: a JSON number within ±10¹²; never a string, true, NaN or Infinity."""


class Payload(BaseModel):
    """The fields of an answer that are read; the others are ignored, whatever they hold."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else repr(value)


Settings = TypeVar("Settings", bound=ProviderSettings)


class Provider(ABC, Generic[Settings]):
    """An account at a service whose quota is shown. A subclass is one file in this folder and one line in `PYTHON`.

    Attributes:
        label: the provider's name for people, and `provider` in the JSON. Unique.
        icon: a Material symbol (`:material/…:`) for the card.
        every: it is asked no more often than this, however often people click; None for no such limit.
        settings_class: its settings, with a prefix of their own.
        total_setting: the field that holds the total, where the provider's API does not tell it.
        unit: what all its figures count, where that is known before any answer.
        quota_count: how many quotas a good answer has at least, as far as that is known before any answer.
        codes: the kind of failure behind each of the provider's own error codes.
        status_codes: the kind of failure behind an HTTP status that means something else here than it usually does.
    """

    label: str
    icon: str = ":material/api:"
    every: timedelta | None = None
    settings_class: type[Settings]
    total_setting: ClassVar[str | None] = None
    unit: str | None = None
    quota_count: int = 1
    codes: ClassVar[Mapping[str, ErrorCode]] = {}
    status_codes: ClassVar[Mapping[int, ErrorCode]] = {}

    def __init__(self, name: str | None = None) -> None:
        """One of several accounts at the service has a name: behind the label, and behind its variables' prefix."""
        if name is not None:
            self.label = f"{self.label} {name}"
            self.settings_class = self.settings_class.of_account(name)

    @cached_property
    def settings(self) -> Settings:
        """The provider's settings, read once; see `reload_missing_keys`.

        Raises:
            SettingsError: a value is wrong.
        """
        return self.settings_class.load()

    @cached_property
    def identity(self) -> str:
        """A digest of what the figures depend on, secrets included: readings of another identity are another's."""
        return hashlib.sha256("\n".join(self._traits()).encode()).hexdigest()

    def reload_missing_keys(self) -> None:
        """Read the settings anew where a key is missing: it may have been added to `.env` by now.

        With a key the account is another one (`identity`): look before its readings are looked up. What cannot be
        read changes nothing.
        """
        if not self.missing_variables:
            return
        with suppress(SettingsError):
            vars(self)["settings"] = self.settings_class.load()
            vars(self).pop("identity", None)

    def _traits(self) -> list[str]:
        """What tells this account from others at the service, as texts that are the same in every process."""
        settings = self.settings
        values = {name: getattr(settings, name) for name in type(settings).model_fields}
        return [f"{name}={_plain(value)}" for name, value in values.items()]

    @property
    def key_variable(self) -> str:
        """The environment variable that holds the key."""
        return self.settings_class.variable("api_key")

    @property
    def total_hint(self) -> str | None:
        """What the operator sets to tell the total, where the provider's API does not: an environment variable."""
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
        """Those of them that are not set."""
        return [variable for variable, is_set in self.configured.items() if not is_set]

    @abstractmethod
    def fetch(self, http: "Client") -> Quota | Sequence[Quota]:
        """Ask the provider once and map its answer.

        Args:
            http: carries the deadline; every call goes through it.

        Raises:
            ProviderError: the reading failed.
        """

    def vendor_code(self, document: Mapping[str, Any]) -> str | None:
        """The provider's own error code in an answer, or None where the answer states no error.

        Args:
            document: the answer, when it is a JSON object. Its values are whatever the provider sent.
        """
        del document
        return None

    def failure_in(self, response: Response) -> ProviderError | None:
        """The failure that an answer states by its HTTP status and the provider's own code together."""
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
