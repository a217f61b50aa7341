"""A provider that a definition describes: the one class behind every entry of the providers' file."""

import base64
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr, create_model

from integrations.providers.base import Provider
from integrations.providers.declared import failures, reading, templates
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.request_rule import Placement
from integrations.providers.renewal import month_before, next_renewal
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import FailedQuota, Quota
from integrations.settings import OptionalApiKey, ProviderSettings
from integrations.transport.request import Request
from integrations.transport.response import Response

if TYPE_CHECKING:
    from integrations.transport.client import Client

log = logging.getLogger(__name__)

_HOST: Final = re.compile(r"(?=[/?]|$)")
TOTAL_HINT: Final = "its total in the providers' file"


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """The terms of an account's contract for one quota that the service may not state.

    Attributes:
        total: the allowance.
        renewal_day: day of the month on which it is filled again, 1 to 31 (the last day).
        renewal_time: in UTC.
    """

    total: Decimal | None = None
    renewal_day: int | None = None
    renewal_time: time = time()

    def fill(self, quota: Quota, *, now: datetime) -> Quota:
        """Return the quota, completed by the terms that its answer does not state."""
        if quota.total is None and not quota.unlimited:
            quota = replace(quota, total=self.total)
        if quota.renews_at is None and self.renewal_day is not None:
            renews_at = next_renewal(now, self.renewal_day, self.renewal_time)
            quota = replace(quota, starts_at=month_before(renews_at, self.renewal_day), renews_at=renews_at)
        return quota


@dataclass(frozen=True, slots=True)
class DeclaredAccount:
    """An entry of the providers' file: all that a definition leaves open.

    Attributes:
        label: the card's name.
        variables: the environment variables of the keys, in the order of the definition's `request.key`.
        values: for the definition's placeholders.
        plain_http: whether the request goes over plain http.
        terms: by the quota's name.
    """

    label: str
    variables: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    plain_http: bool = False
    terms: Mapping[str | None, ContractTerms] = field(default_factory=dict)


class DeclaredProvider(Provider[ProviderSettings]):
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
        self.quota_count = sum(quota.is_certain for quota in definition.quotas) or 1
        self.settings_class = _settings_class(account.variables)
        self._reported: set[str] = set()

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
        """The place to set the total, if an answer may leave one out."""
        return None if all(quota.states_total for quota in self.definition.quotas) else TOTAL_HINT

    def fetch(self, http: "Client") -> tuple[Quota | FailedQuota, ...]:
        """Ask the service and read the figures of its answer."""
        return self.quotas_in(self.ask(http), now=datetime.now(UTC))

    def quotas_in(self, response: Response, *, now: datetime) -> tuple[Quota | FailedQuota, ...]:
        """Return the quotas of a good answer, completed by the account's terms.

        Raises:
            ProviderError: `invalid_response`; no quota of the answer can be read.
        """
        quotas = reading.quotas(self.definition, response, now=now, report=self._log_once)
        return tuple(
            self.account.terms.get(quota.name, ContractTerms()).fill(quota, now=now)
            if isinstance(quota, Quota)
            else quota
            for quota in quotas
        )

    def _log_once(self, problem: str) -> None:
        if problem not in self._reported:
            self._reported.add(problem)
            log.warning("%s: renewal unknown: %s", self.label, problem)

    def ask(self, http: "Client") -> Response:
        """Return the service's answer, which states no failure."""
        return http.send(self.request(now=datetime.now(UTC)))

    def failure_in(self, response: Response) -> ProviderError | None:
        """Return the failure that an answer states by the definition's rules, or None."""
        return failures.failure_in(self.definition, response)

    def request(self, *, now: datetime) -> Request:
        """Return the request, keys included.

        Raises:
            ProviderError: `not_configured`.
        """
        rule = self.definition.request
        values = templates.all_values(self.account.values, now)
        headers = {name: templates.fill(text, values) for name, text in rule.headers.items()}
        headers = {"Accept": "application/json", **headers}
        query = {name: templates.fill(text, values) for name, text in rule.query.items()}
        for placement, secret in zip(rule.key, self.secrets(), strict=True):
            if placement.header is not None:
                headers[placement.header] = placement.prefix + secret
            elif placement.query is not None:
                query[placement.query] = secret
            else:
                headers["Authorization"] = _basic(placement, secret, values)
        body = None
        if rule.body is not None:
            body = json.dumps(templates.fill_json(rule.body, values)).encode()
            headers["Content-Type"] = "application/json"
        return Request(self._url(query, values), rule.method, headers, body)

    def _found(self) -> list[SecretStr | None]:
        return [getattr(self.settings, name) for name in _fields(self.account.variables)]

    def secrets(self) -> list[str]:
        """Return the keys, for a request and nothing else.

        Raises:
            ProviderError: `not_configured`.
        """
        if missing := self.missing_variables:
            raise ProviderError(ErrorCode.NOT_CONFIGURED, f"{', '.join(missing)}: not set")
        return [secret.get_secret_value() for secret in self._found() if secret is not None]

    def _url(self, query: Mapping[str, str], values: Mapping[str, str]) -> str:
        scheme, _, rest = self.definition.request.url.partition("://")
        host, path = _HOST.split(rest, maxsplit=1)
        path = templates.fill(path, {name: quote(value, safe="") for name, value in values.items()})
        host = templates.fill(host, values)
        url = f"{'http' if self.account.plain_http else scheme}://{host}{path}"
        if not query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _basic(placement: Placement, secret: str, values: Mapping[str, str]) -> str:
    """Return the header of HTTP Basic: the key is the password, or the user name with an empty password."""
    template = placement.basic or ""
    is_user = template == templates.KEY_AS_USER
    pair = f"{secret}:" if is_user else f"{templates.fill(template, values)}:{secret}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _fields(variables: tuple[str, ...]) -> list[str]:
    """Return the settings' fields of the keys; every provider's settings have the first."""
    return ["api_key", *(f"further_key_{index}" for index in range(1, len(variables)))][: len(variables)]


class _NoKey(ProviderSettings):
    """The settings of an account without a key: no variable is read, not even one with its field's name."""

    @classmethod
    def load(cls) -> Self:
        """Return settings without a key."""
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
