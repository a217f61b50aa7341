"""GitHub: requests an hour; several quotas in one answer, each with the second of its reset.

Format: GitHub REST API, "Get rate limit status for the authenticated user".
"""

from datetime import UTC, datetime

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations.models import Quota
from integrations.providers.base import Amount, Payload, Provider
from integrations.settings import BaseUrl, ProviderSettings
from integrations.transport.client import Client
from tests.providers.examples import Sample


class GitHubSettings(ProviderSettings):
    """Where it answers."""

    model_config = SettingsConfigDict(env_prefix="GITHUB_API_")

    api_base_url: BaseUrl = Field(
        default="https://api.github.com", description="the base URL of its API, https"
    )


class _Limit(Payload):
    limit: Amount
    remaining: Amount
    reset: int


class _Resources(Payload):
    core: _Limit
    search: _Limit


class _Answer(Payload):
    resources: _Resources


class GitHub(Provider[GitHubSettings]):
    """The rate limits of the REST API and of the search."""

    label = "GitHub"
    settings_class = GitHubSettings

    def fetch(self, http: Client) -> list[Quota]:
        """`GET /rate_limit`."""
        answer = http.get(
            f"{self.settings.api_base_url}/rate_limit", headers={"Authorization": f"Bearer {self.key}"}
        )
        limits = answer.parse(_Answer).resources
        return [_quota("Core", limits.core), _quota("Search", limits.search)]


def _quota(name: str, limit: _Limit) -> Quota:
    renews_at = datetime.fromtimestamp(limit.reset, UTC)
    return Quota(
        total=limit.limit, remaining=limit.remaining, renews_at=renews_at, unit="requests", name=name
    )


SAMPLES = [
    Sample(
        b'{"resources": {"core": {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1795600000},'
        b' "search": {"limit": 30, "used": 30, "remaining": 0, "reset": 1795600000}}}',
        [
            ("GitHub Core", "5000", "4999", "1", "0.1", "requests", "ok"),
            ("GitHub Search", "30", "0", "30", "100", "requests", "exhausted"),
        ],
        renews=True,
    ),
]
