"""A provider that a definition describes: the one class behind every entry of the providers' file."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr, create_model

from integrations.providers.base import Provider
from integrations.providers.declared import reading
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.fields import PLACEHOLDER
from integrations.providers.renewal import month_before, next_renewal
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import Quota
from integrations.settings import OptionalApiKey, ProviderSettings
from integrations.transport.request import Request
from integrations.transport.response import Response

if TYPE_CHECKING:
    from integrations.transport.client import Client

_HOST: Final = re.compile(r"(?=[/?]|$)")
TOTAL_HINT: Final = "its total in the providers' file"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account's contract says of a quota, where the service does not.

    Attributes:
        total: the allowance.
        renewal_day: day of the month on which it is filled again, 1 to 31 (the last day).
        renewal_time: in UTC.
    """

    total: Decimal | None = None
    renewal_day: int | None = None
    renewal_time: time = time()

    def fill(self, quota: Quota, *, now: datetime) -> Quota:
        """The quota, completed; what the answer told stands."""
        if quota.total is None and not quota.unlimited:
            quota = replace(quota, total=self.total)
        if quota.renews_at is None and self.renewal_day is not None:
            renews_at = next_renewal(now, self.renewal_day, self.renewal_time)
            quota = replace(quota, starts_at=month_before(renews_at, self.renewal_day), renews_at=renews_at)
        return quota


@dataclass(frozen=True, slots=True)
class DeclaredAccount:
    """What an entry of the providers' file says beside the definition.

    Attributes:
        label: the card's name.
        variables: the environment variables of the keys, in the order of the definition's `request.key`.
        values: for the definition's placeholders.
        plain_http: the request goes over plain http.
        terms: by the quota's name.
    """

    label: str
    variables: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    plain_http: bool = False
    terms: Mapping[str | None, Terms] = field(default_factory=dict)


class Declared(Provider[ProviderSettings]):
    """An account at a service that a definition describes."""

    def __init__(self, definition: Definition, account: DeclaredAccount) -> None:
        super().__init__()
        self.definition = definition
        self.account = account
        self.label = account.label
        self.icon = definition.icon
        self.every = definition.request.every
        units = {quota.unit for quota in definition.quotas}
        unit = units.pop()
        self.unit = unit if isinstance(unit, str) and not units else None
        self.quota_count = sum(not quota.optional for quota in definition.quotas) or 1
        self.settings_class = _settings_class(account.variables)

    def _traits(self) -> list[str]:
        return [*super()._traits(), repr(self.definition), repr(self.account)]

    @property
    def key_variable(self) -> str:
        """The environment variables that hold the keys."""
        return " and ".join(self.account.variables) or "the request's address and headers"

    @property
    def configured(self) -> dict[str, bool]:
        """The environment variables of the account's keys, and whether each is set."""
        return {
            variable: secret is not None
            for variable, secret in zip(self.account.variables, self._found(), strict=True)
        }

    @property
    def total_hint(self) -> str | None:
        """That the total can be set, where a quota's answer does not tell it."""
        return None if all(quota.tells_total for quota in self.definition.quotas) else TOTAL_HINT

    def fetch(self, http: "Client") -> tuple[Quota, ...]:
        """Ask the service and read the figures of its answer."""
        return self.quotas_in(self.ask(http))

    def quotas_in(self, response: Response) -> tuple[Quota, ...]:
        """The figures of a good answer, completed by what the account states.

        Raises:
            ProviderError: `invalid_response`; the answer does not fit the definition.
        """
        now = datetime.now(UTC)
        quotas = reading.quotas(self.definition, response, now=now)
        return tuple(self.account.terms.get(quota.name, Terms()).fill(quota, now=now) for quota in quotas)

    def ask(self, http: "Client") -> Response:
        """The service's answer, which states no failure."""
        return http.send(self._request())

    def failure_in(self, response: Response) -> ProviderError | None:
        """The failure that an answer states by the definition's rules."""
        return reading.failure_in(self.definition, response)

    def _request(self) -> Request:
        rule = self.definition.request
        headers = {"Accept": "application/json", **rule.headers}
        query = {name: self._filled(text) for name, text in rule.query.items()}
        for placement, secret in zip(rule.key, self.secrets(), strict=True):
            if placement.header is not None:
                headers[placement.header] = placement.prefix + secret
            elif placement.query is not None:
                query[placement.query] = secret
            else:
                pair = f"{self._filled(placement.basic or '')}:{secret}"
                headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        body = None
        if rule.body is not None:
            body = json.dumps(rule.body).encode()
            headers["Content-Type"] = "application/json"
        return Request(self._url(query), rule.method, headers, body)

    def _found(self) -> list[SecretStr | None]:
        return [getattr(self.settings, name) for name in _fields(self.account.variables)]

    def secrets(self) -> list[str]:
        """The keys, for a request and nothing else.

        Raises:
            ProviderError: `not_configured`.
        """
        if missing := self.missing_variables:
            raise ProviderError(ErrorCode.NOT_CONFIGURED, f"{', '.join(missing)}: not set")
        return [secret.get_secret_value() for secret in self._found() if secret is not None]

    def _url(self, query: Mapping[str, str]) -> str:
        scheme, _, rest = self.definition.request.url.partition("://")
        host, path = _HOST.split(rest, maxsplit=1)
        path = PLACEHOLDER.sub(lambda match: quote(self.account.values[match[1]], safe=""), path)
        url = f"{'http' if self.account.plain_http else scheme}://{self._filled(host)}{path}"
        if not query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"

    def _filled(self, template: str) -> str:
        return PLACEHOLDER.sub(lambda match: self.account.values[match[1]], template)


def _fields(variables: tuple[str, ...]) -> list[str]:
    """The settings' fields of the keys; every provider's settings have the first."""
    return ["api_key", *(f"further_key_{index}" for index in range(1, len(variables)))][: len(variables)]


class _NoKey(ProviderSettings):
    """Of an account without a key: nothing is read, not even a variable that happens to have its field's name."""

    @classmethod
    def load(cls) -> Self:
        """There is nothing to read."""
        return cls.model_construct()  # type: ignore[return-value] # pydantic's plugin names the class


def _settings_class(variables: tuple[str, ...]) -> type[ProviderSettings]:
    if not variables:
        return _NoKey
    description = ProviderSettings.model_fields["api_key"].description
    fields: dict[str, Any] = {
        name: (OptionalApiKey, Field(default=None, validation_alias=variable, description=description))
        for name, variable in zip(_fields(variables), variables, strict=True)
    }
    made: type[ProviderSettings] = create_model("DeclaredSettings", __base__=ProviderSettings, **fields)
    return made
