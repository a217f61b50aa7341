"""The catalogue's samples, for tests."""

from functools import cache

from integrations.accounts import catalogue, samples
from integrations.accounts.samples import Answer, Sample
from integrations.files import yaml_model
from integrations.providers.declared.provider import DeclaredProvider

__all__ = ["Answer", "account_at", "sample"]


@cache
def sample(name: str) -> Sample:
    """Return the sample of a service."""
    return yaml_model.read(catalogue.FOLDER / name / samples.FILE, Sample)[0]


def account_at(name: str, url: str | None = None) -> DeclaredProvider:
    """Return the account of a service's sample, asked at a server of the test if there is one."""
    definition = catalogue.definition(name)
    file = catalogue.FOLDER / name / samples.FILE
    provider = samples.account_of(name, definition, sample(name), file)
    if url is None:
        return provider
    tail = definition.request.url.partition("://")[2].partition("/")[2]
    request = definition.request.model_copy(update={"url": f"{url}/{tail}"})
    return DeclaredProvider(definition.model_copy(update={"request": request}), provider.account)
