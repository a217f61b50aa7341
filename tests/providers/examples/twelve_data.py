"""Twelve Data: requests a minute; used and limit, the key in a header of its own form.

Format: Twelve Data API documentation, "API usage".
"""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class TwelveDataSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="TWELVE_DATA_")

    api_base_url: BaseUrl = Field(
        default="https://api.twelvedata.com", description="the base URL of its API, https"
    )


class _Usage(Payload):
    current_usage: Amount
    plan_limit: Amount


class TwelveData(Provider[TwelveDataSettings]):
    """The requests of the current minute."""

    label = "Twelve Data"
    settings_class = TwelveDataSettings

    def fetch(self, http: Client) -> Quota:
        """`GET /api_usage`."""
        headers = {"Authorization": f"apikey {self.key}"}
        usage = http.get(f"{self.settings.api_base_url}/api_usage", headers=headers).parse(_Usage)
        return Quota(used=usage.current_usage, total=usage.plan_limit, unit="requests")


SAMPLES = [
    Sample(
        b'{"timestamp": "2026-11-23 10:00:00", "current_usage": 488, "plan_limit": 610, "plan_category": "pro"}',
        [("Twelve Data", "610", "122", "488", "80", "requests", "warning")],
    ),
]
