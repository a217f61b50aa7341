"""Hunter: searches and verifications a month; used and available, a reset date for both.

Format: Hunter API v2, "Account information".
"""

from datetime import UTC, datetime

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class HunterSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="HUNTER_")

    api_base_url: BaseUrl = Field(
        default="https://api.hunter.io/v2", description="the base URL of its API, https"
    )


class _Meter(Payload):
    used: Amount
    available: Amount


class _Meters(Payload):
    searches: _Meter
    verifications: _Meter


class _Account(Payload):
    reset_date: str
    requests: _Meters


class _Answer(Payload):
    data: _Account


class Hunter(Provider[HunterSettings]):
    """The two allowances of an account; `available` is the allowance, not what is left of it."""

    label = "Hunter"
    settings_class = HunterSettings

    def fetch(self, http: Client) -> list[Quota]:
        """`GET /account`."""
        answer = http.get(f"{self.settings.api_base_url}/account", headers={"X-API-KEY": self.key})
        account = answer.parse(_Answer).data
        at = datetime.fromisoformat(account.reset_date).replace(tzinfo=UTC)
        meters = {"Searches": account.requests.searches, "Verifications": account.requests.verifications}
        return [
            Quota(used=meter.used, total=meter.available, renews_at=at, unit=name.lower(), name=name)
            for name, meter in meters.items()
        ]


SAMPLES = [
    Sample(
        b'{"data": {"reset_date": "2027-01-15", "requests": {"searches": {"used": 17, "available": 500},'
        b' "verifications": {"used": 960, "available": 1000}}}}',
        [
            ("Hunter Searches", "500", "483", "17", "3.4", "searches", "ok"),
            ("Hunter Verifications", "1000", "40", "960", "96", "verifications", "critical"),
        ],
        renews=True,
    ),
]
