"""DeepL: characters a month; used and limit, and a plan without a limit.

Format: DeepL API reference, "Check usage and limits".
"""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class DeepLSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="DEEPL_")

    api_base_url: BaseUrl = Field(
        default="https://api.deepl.com", description="the base URL of its API, https"
    )


_NO_LIMIT = 10**12
"""What DeepL sends as the limit of a plan that has none."""


class _Usage(Payload):
    character_count: Amount
    character_limit: Amount


class DeepL(Provider[DeepLSettings]):
    """The characters of the current billing period."""

    label = "DeepL"
    settings_class = DeepLSettings

    def fetch(self, http: Client) -> Quota:
        """`GET /v2/usage`."""
        headers = {"Authorization": f"DeepL-Auth-Key {self.key}"}
        usage = http.get(f"{self.settings.api_base_url}/v2/usage", headers=headers).parse(_Usage)
        if usage.character_limit == _NO_LIMIT:
            return Quota(used=usage.character_count, unlimited=True, unit="characters")
        return Quota(used=usage.character_count, total=usage.character_limit, unit="characters")


SAMPLES = [
    Sample(
        b'{"character_count": 180118, "character_limit": 1250000}',
        [("DeepL", "1250000", "1069882", "180118", "14.4", "characters", "ok")],
    ),
    Sample(
        b'{"character_count": 180118, "character_limit": 1000000000000}',
        [("DeepL", None, None, "180118", None, "characters", "ok")],
    ),
]
