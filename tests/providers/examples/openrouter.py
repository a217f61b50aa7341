"""OpenRouter: prepaid credits in US dollars; total and used, a bearer key.

Format: OpenRouter API reference, "Get remaining credits".
"""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class OpenRouterSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="OPENROUTER_")

    api_base_url: BaseUrl = Field(
        default="https://openrouter.ai/api/v1", description="the base URL of its API, https"
    )


class _Credits(Payload):
    total_credits: Amount
    total_usage: Amount


class _Answer(Payload):
    data: _Credits


class OpenRouter(Provider[OpenRouterSettings]):
    """What is left of the credits that were bought."""

    label = "OpenRouter"
    settings_class = OpenRouterSettings

    def fetch(self, http: Client) -> Quota:
        """`GET /credits`."""
        answer = http.get(
            f"{self.settings.api_base_url}/credits", headers={"Authorization": f"Bearer {self.key}"}
        )
        credits_ = answer.parse(_Answer).data
        return Quota(total=credits_.total_credits, used=credits_.total_usage, unit="USD")


SAMPLES = [
    Sample(
        b'{"data": {"total_credits": 100.5, "total_usage": 25.75}}',
        [("OpenRouter", "100.5", "74.75", "25.75", "25.6", "USD", "ok")],
    ),
    Sample(
        b'{"data": {"total_credits": 10, "total_usage": 10.4}}',
        [("OpenRouter", "10", "-0.4", "10.4", "104", "USD", "exhausted")],
    ),
]
