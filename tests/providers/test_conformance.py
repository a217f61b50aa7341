"""What every provider must do, over a real socket. A provider is tested by being listed.

To try one that is not shipped, put its file beside `examples/acme.py`; a fault more is a line in `faults.py`. The
tests know of a provider no more than its base class: they point the variables of its base URL and key at the server.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integrations import service
from integrations.errors import ErrorCode
from integrations.providers import PROVIDERS
from integrations.providers.base import Provider
from integrations.transport import MAX_ATTEMPTS
from tests.providers.examples import providers
from tests.providers.faults import FAULTS, Fault
from tests.providers.hostile import answer, hostile

KEY = "test-key-0123456789"
DEADLINE = 0.45
CANDIDATES: tuple[Provider[Any], ...] = (*PROVIDERS, *(provider for provider, _ in providers()))
"""Every provider that is shipped, and those that are not: they prove that the suite knows no vendor."""

Ask = Callable[[str], service.Attempt]


@pytest.fixture(params=CANDIDATES, ids=lambda provider: provider.label)
def provider(request: pytest.FixtureRequest) -> Provider[Any]:
    """Each provider, its settings not read yet."""
    fresh: Provider[Any] = type(request.param)()
    return fresh


@pytest.fixture
def ask(provider: Provider[Any], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """One attempt at the server behind a URL."""

    def attempt(url: str) -> service.Attempt:
        monkeypatch.setenv("PANEL_DEADLINE_SECONDS", str(DEADLINE))
        monkeypatch.setenv(provider.settings_class.variable("api_base_url"), url)
        monkeypatch.setenv(provider.key_variable, KEY)
        return service.attempt(provider)

    return attempt


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_told_as_its_kind_within_the_deadline_and_never_as_a_figure(
    provider: Provider[Any], ask: Ask, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the server does, there is one failure of the right kind, in time, and the key stays secret."""
    caplog.set_level(logging.DEBUG)
    with hostile(fault.behaviour) as server:
        began = time.monotonic()
        ended = ask(server.url)
        took = time.monotonic() - began
    assert ended.failure is not None
    assert ended.failure.code is fault.code
    assert ended.readings == ()
    assert took < DEADLINE + 0.5
    assert (len(server.requests) > 1) == fault.retried
    assert len(server.requests) <= MAX_ATTEMPTS
    shown = repr(provider.settings) + repr(ended) + str(service.readings_of(provider, ended)) + caplog.text
    assert KEY not in shown


def test_a_server_that_is_not_there_is_a_network_failure(ask: Ask) -> None:
    """A refused connection passes by itself, so it is `network`."""
    with hostile(answer(200)) as gone:
        url = gone.url
    ended = ask(url)
    assert ended.failure is not None
    assert ended.failure.code is ErrorCode.NETWORK


def test_the_server_is_left_at_the_deadline(ask: Ask) -> None:
    """Nothing stays connected to a server that drips for ever."""
    dripping = next(fault for fault in FAULTS if fault.name == "dripping body")
    with hostile(dripping.behaviour) as server:
        ask(server.url)
        assert server.left.wait(2)


def test_a_failure_does_not_follow_a_redirect_with_the_key(ask: Ask) -> None:
    """The host behind a Location is never asked."""
    with hostile(answer(200)) as elsewhere, hostile(answer(307, Location=elsewhere.url)) as server:
        ask(server.url)
        assert server.requests
        assert elsewhere.requests == []


def test_without_a_key_nobody_is_asked(provider: Provider[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not configured is an error of its own, told without a call."""
    with hostile(answer(200)) as server:
        monkeypatch.setenv(provider.settings_class.variable("api_base_url"), server.url)
        monkeypatch.setenv(provider.key_variable, "   ")
        ended = service.attempt(provider)
        assert server.requests == []
    assert ended.failure is not None
    reading = service.readings_of(provider, ended)[0]
    assert reading.error is not None
    assert reading.error.message == (
        f"{provider.label} not configured. Please add {provider.key_variable} to environment variables."
    )


def test_labels_are_unique() -> None:
    """A label names one provider, on the page and in the JSON."""
    labels = [provider.label for provider in CANDIDATES]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("shipped", PROVIDERS, ids=lambda provider: provider.label)
def test_a_shipped_providers_settings_are_documented(shipped: Provider[Any]) -> None:
    """`.env.example` lists each of its variables."""
    example = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    for field in shipped.settings_class.model_fields:
        assert f"\n{shipped.settings_class.variable(field)}=" in example


def test_every_provider_file_is_listed() -> None:
    """A file in the folder of providers that nobody listed would never be shown."""
    files = Path(__file__).parents[2].joinpath("integrations/providers").glob("*.py")
    modules = {f"integrations.providers.{file.stem}" for file in files} - {
        "integrations.providers.__init__",
        "integrations.providers.base",
    }
    assert modules == {type(provider).__module__ for provider in PROVIDERS}
