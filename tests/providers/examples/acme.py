"""A provider that is not shipped: used and limit, a bearer token, money."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class AcmeSettings(ProviderSettings):
    """Where Acme answers."""

    model_config = SettingsConfigDict(env_prefix="ACME_")

    api_base_url: BaseUrl = Field(default="https://acme.example/v1", description="Acme's API, https")


class _Usage(Payload):
    used: Amount
    limit: Amount


class Acme(Provider[AcmeSettings]):
    """Acme's prepaid budget in US dollars."""

    label = "Acme"
    settings_class = AcmeSettings

    def fetch(self, http: Client) -> Quota:
        """Ask for the usage: `{"used": 12.5, "limit": 50}`."""
        answer = http.get(
            f"{self.settings.api_base_url}/usage", headers={"Authorization": f"Bearer {self.key}"}
        )
        usage = answer.parse(_Usage)
        return Quota(used=usage.used, total=usage.limit, unit="USD")


SAMPLES = [Sample(b'{"used": 12.5, "limit": 50}', [("Acme", "50", "37.5", "12.5", "25", "USD", "ok")])]
