"""What every provider must do, over a real socket. A provider is tested by being listed.

To try one that is not shipped, put its file beside `examples/acme.py`; a fault more is a line in `faults.py`. The
tests know of a provider no more than its base class: they point the variables of its base URL and key at the server.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tenacity

from integrations import service
from integrations.errors import ErrorCode
from integrations.models import Reading
from integrations.providers import PROVIDERS
from integrations.providers.base import Provider
from integrations.transport import client
from integrations.transport.client import MAX_ATTEMPTS
from tests.providers.examples import Sample, providers
from tests.providers.faults import FAULTS, Fault
from tests.providers.hostile import answer, hostile, never_accepting

KEY = "test-key-0123456789"
DEADLINE = 0.3
EXAMPLES = providers()
CANDIDATES: tuple[Provider[Any], ...] = (*PROVIDERS, *(provider for provider, _ in EXAMPLES))
"""Every provider that is shipped, and those that are not: they prove that the suite knows no vendor."""

GOOD_ANSWERS = {
    "IMAI": Sample(b'{"success": true, "credits": 7500}', []),
    **{provider.label: samples[0] for provider, samples in EXAMPLES},
}
"""A good answer of each provider, by its label: a shipped one's stands here, an example brings its own."""

Ask = Callable[..., service.Outcome]


@pytest.fixture(params=CANDIDATES, ids=lambda provider: provider.label)
def provider(request: pytest.FixtureRequest) -> Provider[Any]:
    """Each provider, its settings not read yet."""
    fresh: Provider[Any] = type(request.param)()
    return fresh


@pytest.fixture
def ask(provider: Provider[Any], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """One attempt at the server behind a URL, with next to no pause between its calls."""
    monkeypatch.setattr(client, "_BACKOFF", tenacity.wait_fixed(0.01))
    monkeypatch.setenv(provider.key_variable, KEY)

    def attempt(url: str, *, deadline: float = 5) -> service.Outcome:
        monkeypatch.setenv("PANEL_DEADLINE_SECONDS", str(deadline))
        monkeypatch.setenv(provider.settings_class.variable("api_base_url"), url)
        return service.fetch(provider)

    return attempt


def code_of(ended: service.Outcome) -> ErrorCode:
    """Why an attempt failed; it must have."""
    assert ended.readings == ()
    assert ended.failure is not None
    return ended.failure.code


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_told_as_its_kind_within_the_deadline_and_never_as_a_figure(
    provider: Provider[Any], ask: Ask, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the server does, there is one failure of the right kind, in time, and the key stays secret."""
    caplog.set_level(logging.DEBUG)
    deadline = DEADLINE if fault.code is ErrorCode.TIMEOUT else 5
    with hostile(fault.behaviour) as server:
        began = time.monotonic()
        ended = ask(server.url, deadline=deadline)
        took = time.monotonic() - began
    assert code_of(ended) is fault.code
    assert took < deadline + 0.5
    assert len(server.requests) == (MAX_ATTEMPTS if fault.retried else 1)
    sentence = fault.code.sentence(label=provider.label, key_variable=provider.key_variable, wait=fault.wait)
    error = service.readings_of(provider, ended)[0].error
    assert error is not None
    assert error.message == sentence
    shown = repr(provider.settings) + repr(ended) + str(service.readings_of(provider, ended)) + caplog.text
    assert KEY not in shown
    assert KEY.encode() in server.requests[0]


def test_a_server_that_is_not_there_is_a_network_failure(ask: Ask) -> None:
    """A refused connection passes by itself, so it is `network`."""
    with hostile(answer(200)) as gone:
        url = gone.url
    assert code_of(ask(url)) is ErrorCode.NETWORK


def test_a_server_that_accepts_nobody_is_a_timeout(ask: Ask) -> None:
    """A connection that does not come about is waited for until the deadline and no longer."""
    with never_accepting() as url:
        began = time.monotonic()
        assert code_of(ask(url, deadline=DEADLINE)) is ErrorCode.TIMEOUT
        assert time.monotonic() - began < DEADLINE + 0.5


WRONG = ('"7"', "true", "null", "NaN", "Infinity", "1e400", "1e-400", "[7]", "{}", "1000000000001")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_figure_of_the_wrong_type_never_becomes_another_figure(
    provider: Provider[Any], ask: Ask, wrong: str
) -> None:
    """In a good answer each number in turn is spoilt: what is shown then was in the good one too, or is unknown."""
    good = GOOD_ANSWERS[provider.label]
    bodies = list(spoilt(json.loads(good.body), wrong))
    named = {name.replace("-", "_"): text for name, text in good.headers.items()}
    with hostile(*(answer(200, body, **named) for body in (good.body, *bodies))) as server:
        measured = figures(ask(server.url))
        assert measured - {None}
        for _ in bodies:
            assert figures(ask(server.url)) <= measured | {None}
        assert len(server.requests) == 1 + len(bodies)


def figures(ended: service.Outcome) -> set[object]:
    """The figures of an attempt; none where it failed, and then as unreadable."""
    if ended.failure is not None:
        assert ended.failure.code is ErrorCode.INVALID_RESPONSE
    return {figure for reading in ended.readings for figure in amounts(reading)}


def amounts(reading: Reading) -> tuple[object, ...]:
    """A reading's figures."""
    return reading.total_quota, reading.remaining_quota, reading.used_quota, reading.usage_percentage


def spoilt(document: object, wrong: str) -> Iterator[bytes]:
    """The document once for each of its numbers, with something wrong in the number's place."""
    for path in paths(document):
        copy: Any = {"top": json.loads(json.dumps(document))}
        holder = copy
        for step in ("top", *path[:-1]):
            holder = holder[step]
        holder[path[-1]] = "PLACE"
        yield json.dumps(copy["top"]).replace('"PLACE"', wrong).encode()


def paths(document: object) -> Iterator[tuple[Any, ...]]:
    """Where the numbers of a document stand."""
    entries: Any = ()
    if isinstance(document, dict):
        entries = document.items()
    elif isinstance(document, list):
        entries = enumerate(document)
    for step, value in entries:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (step,)
        yield from ((step, *rest) for rest in paths(value))


def test_the_server_is_left_at_the_deadline(ask: Ask) -> None:
    """Nothing stays connected to a server that drips for ever."""
    dripping = next(fault for fault in FAULTS if fault.name == "dripping body")
    with hostile(dripping.behaviour) as server:
        ask(server.url, deadline=DEADLINE)
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
        ended = service.fetch(provider)
        assert server.requests == []
    assert ended.failure is not None
    reading = service.readings_of(provider, ended)[0]
    assert reading.error is not None
    assert reading.error.message == (
        f"{provider.label} not configured. Please add {provider.key_variable} to environment variables."
    )


def test_labels_and_variables_are_unique() -> None:
    """A label names one provider, on the page and in the JSON; a key belongs to one."""
    labels = [provider.label for provider in CANDIDATES]
    assert len(labels) == len(set(labels))
    keys = [provider.key_variable for provider in CANDIDATES]
    assert len(keys) == len(set(keys))


def test_a_provider_has_a_name_and_an_icon(provider: Provider[Any]) -> None:
    """Its card shows both; the icon is one of Streamlit's own, which no outside host has to deliver."""
    assert provider.label.strip() == provider.label != ""
    assert re.fullmatch(r":material/[a-z0-9_]+:", provider.icon)


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
