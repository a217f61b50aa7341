"""ElevenLabs: characters a month; used, limit and the second of the reset, which may be unknown.

Format: ElevenLabs API reference, "Get user subscription".
"""

from datetime import UTC, datetime

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class ElevenLabsSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="ELEVENLABS_")

    api_base_url: BaseUrl = Field(
        default="https://api.elevenlabs.io/v1", description="the base URL of its API, https"
    )


class _Subscription(Payload):
    character_count: Amount
    character_limit: Amount
    next_character_count_reset_unix: int | None


class ElevenLabs(Provider[ElevenLabsSettings]):
    """The characters of the subscription."""

    label = "ElevenLabs"
    settings_class = ElevenLabsSettings

    def fetch(self, http: Client) -> Quota:
        """`GET /user/subscription`."""
        answer = http.get(f"{self.settings.api_base_url}/user/subscription", headers={"xi-api-key": self.key})
        found = answer.parse(_Subscription)
        reset = found.next_character_count_reset_unix
        renews_at = None if reset is None else datetime.fromtimestamp(reset, UTC)
        return Quota(
            used=found.character_count, total=found.character_limit, renews_at=renews_at, unit="characters"
        )


SAMPLES = [
    Sample(
        b'{"character_count": 0, "character_limit": 10000, "next_character_count_reset_unix": null}',
        [("ElevenLabs", "10000", "10000", "0", "0", "characters", "ok")],
    ),
    Sample(
        b'{"character_count": 9999, "character_limit": 10000, "next_character_count_reset_unix": 1795600000}',
        [("ElevenLabs", "10000", "1", "9999", "99.9", "characters", "critical")],
        renews=True,
    ),
]
