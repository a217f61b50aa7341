"""Brave Search: queries a month; the figures stand in response headers, the reset in seconds from now.

Format: Brave Search API, "Response headers".
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class BraveSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="BRAVE_")

    api_base_url: BaseUrl = Field(
        default="https://api.search.brave.com/res/v1", description="the base URL of its API, https"
    )


class Brave(Provider[BraveSettings]):
    """The monthly one of the two limits that each header lists: of the second, of the month."""

    label = "Brave Search"
    settings_class = BraveSettings

    def fetch(self, http: Client) -> Quota:
        """`GET /web/search`, whose answer's body is of no interest here."""
        url = f"{self.settings.api_base_url}/web/search?q=quota"
        headers = http.get(url, headers={"X-Subscription-Token": self.key}).headers
        limit, remaining, reset = (
            Decimal(headers[f"X-RateLimit-{name}"].split(",")[1].strip())
            for name in ("Limit", "Remaining", "Reset")
        )
        renews_at = datetime.now(UTC) + timedelta(seconds=int(reset))
        return Quota(total=limit, remaining=remaining, renews_at=renews_at, unit="queries")


SAMPLES = [
    Sample(
        b"{}",
        [("Brave Search", "15000", "1000", "14000", "93.3", "queries", "warning")],
        headers={
            "X-RateLimit-Limit": "1, 15000",
            "X-RateLimit-Remaining": "1, 1000",
            "X-RateLimit-Reset": "1, 1419704",
        },
        renews=True,
    ),
]
