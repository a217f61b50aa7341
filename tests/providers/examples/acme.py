"""Acme: prepaid budget in US dollars; the key is exchanged for a token. Reference: Acme's API documentation."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.providers.base import Amount, Payload, Provider
from integrations.quota.errors import ErrorCode
from integrations.quota.models import Quota
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.request import Request

if TYPE_CHECKING:
    from integrations.transport.client import Client


class AcmeSettings(ProviderSettings):
    """ACME_API_KEY comes from the base; here is what else there is to set."""

    model_config = SettingsConfigDict(env_prefix="ACME_")

    api_base_url: BaseUrl = Field(default="https://acme.example", description="Acme's address, https")


class _Token(Payload):
    access_token: str = Field(repr=False)


class _Usage(Payload):
    used: Amount
    limit: Amount
    resets_in: Amount


class Acme(Provider[AcmeSettings]):
    """What is left of the budget."""

    label = "Acme"
    icon = ":material/payments:"
    settings_class = AcmeSettings
    codes: ClassVar[Mapping[str, ErrorCode]] = {"plan_cancelled": ErrorCode.SUBSCRIPTION_INACTIVE}

    def fetch(self, http: "Client") -> Quota:
        """Exchange the key for a token, then ask for the usage; one deadline holds for both."""
        base_url = self.settings.api_base_url
        exchange = Request(f"{base_url}/token", "POST", headers={"Authorization": f"Bearer {self.key}"})
        token = http.send(exchange).parse(_Token).access_token
        usage = http.get(f"{base_url}/usage", headers={"Authorization": f"Bearer {token}"}).parse(_Usage)
        renews_at = datetime.now(UTC) + timedelta(seconds=float(usage.resets_in))
        return Quota(used=usage.used, total=usage.limit, renews_at=renews_at, unit="USD")

    def vendor_code(self, document: Mapping[str, Any]) -> str | None:
        """Acme's errors look like `{"problem": "plan_cancelled"}`."""
        return document.get("problem")
