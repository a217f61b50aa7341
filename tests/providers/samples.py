"""The catalogue's samples, for tests."""

from functools import cache

from integrations.accounts import catalogue, samples
from integrations.accounts.samples import Answer, Sample
from integrations.providers.declared.provider import DeclaredProvider

__all__ = ["Answer", "account_at", "sample"]


@cache
def _loaded(name: str) -> tuple[Sample, DeclaredProvider]:
    return samples.load(name, catalogue.definition(name), catalogue.FOLDER / name / samples.FILE)


def sample(name: str) -> Sample:
    """Return the sample of a service."""
    return _loaded(name)[0]


def account_at(name: str, url: str = "") -> DeclaredProvider:
    """Return a new account of a service's sample, asked at a server of the test if there is one."""
    _, provider = _loaded(name)
    request = provider.definition.request
    if url:
        tail = request.url.partition("://")[2].partition("/")[2]
        request = request.model_copy(update={"url": f"{url}/{tail}"})
    definition = provider.definition.model_copy(update={"request": request})
    return DeclaredProvider(definition, provider.account)
