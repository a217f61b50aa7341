"""The contract of every provider, over a real socket. `CANDIDATES` has the providers, `faults.py` the faults.

Every fault is tried on the providers in Python and on two declared ones, with the key in a header and in the URL. All
other definitions use the same class; they are tried with the mistakes that a definition can make.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tenacity

from integrations.accounts import catalogue
from integrations.providers import PYTHON
from integrations.providers.base import Provider
from integrations.providers.declared import paths
from integrations.providers.declared.definition import FigureRule, QuotaRule
from integrations.providers.imai import Imai
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import FailedQuota, Quota, Reading
from integrations.readings import fetch
from integrations.transport import client
from integrations.transport.client import MAX_ATTEMPTS
from integrations.ui import icons
from tests.providers import definitions, samples
from tests.providers.examples.acme import Acme
from tests.providers.faults import FAULTS, HTML, Fault
from tests.providers.hostile import Behavior, answer, hostile, never_accepting

KEY = "test-key-0123456789"
DEADLINE = 0.3
ROOM = 2.0
"""Seconds after a deadline that a busy machine may take."""


@dataclass(frozen=True)
class Candidate:
    """A provider, and how to point it at a server.

    Attributes:
        name: for the test's name.
        at: the provider, asked at this URL.
        good: a good answer, to whatever it asks.
        base_url: the variable of its base URL; None if it has none.
    """

    name: str
    at: Callable[[str], Provider[Any]]
    good: bytes
    base_url: str | None = None


CANDIDATES = (
    Candidate("IMAI", lambda _: Imai(), b'{"success": true, "credits": 7500}', base_url="IMAI_API_BASE_URL"),
    Candidate(
        "Acme in Python",
        lambda _: Acme(),
        b'{"access_token": "test-token", "used": 12.5, "limit": 50, "resets_in": 86400}',
        base_url="ACME_API_BASE_URL",
    ),
    Candidate(
        "Acme, key in a header", lambda url: definitions.acme(url, definitions.HEADER), definitions.GOOD
    ),
    Candidate("Acme, key in the URL", lambda url: definitions.acme(url, definitions.QUERY), definitions.GOOD),
)

Ask = Callable[..., fetch.Outcome]


@pytest.fixture(params=CANDIDATES, ids=lambda candidate: candidate.name)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    """Each of them."""
    found: Candidate = request.param
    return found


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to no pause between calls."""
    monkeypatch.setattr(client, "_BACKOFF", tenacity.wait_fixed(0.01))


@pytest.fixture
def provider(candidate: Candidate, monkeypatch: pytest.MonkeyPatch) -> Provider[Any]:
    """A provider, its key set; to be asked nowhere yet."""
    made = candidate.at("http://127.0.0.1:9")
    monkeypatch.setenv(made.key_variable, KEY)
    return made


@pytest.fixture
def ask(candidate: Candidate, provider: Provider[Any], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """One fetch at the server behind a URL."""

    def ask_at(url: str, *, deadline: float = 5) -> fetch.Outcome:
        monkeypatch.setenv("PANEL_DEADLINE_SECONDS", str(deadline))
        if candidate.base_url:
            monkeypatch.setenv(candidate.base_url, url)
        return fetch.fetch(candidate.at(url))

    return ask_at


def code_of(ended: fetch.Outcome) -> ErrorCode:
    """Why an attempt failed; it must have."""
    assert ended.readings == ()
    assert ended.failure is not None
    return ended.failure.code


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_a_failure_of_its_kind_within_the_deadline_and_never_a_figure(
    provider: Provider[Any], ask: Ask, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """There is one failure of the right kind, in time, and the key stays secret."""
    caplog.set_level(logging.DEBUG)
    deadline = DEADLINE if fault.code is ErrorCode.TIMEOUT else 5
    with hostile(fault.behavior) as server:
        began = time.monotonic()
        ended = ask(server.url, deadline=deadline)
        took = time.monotonic() - began
    assert code_of(ended) is fault.code
    assert took < deadline + ROOM
    assert len(server.requests) == (MAX_ATTEMPTS if fault.retried else 1)
    sentence = fault.code.sentence(label=provider.label, key_variable=provider.key_variable, wait=fault.wait)
    error = fetch.visible_readings(provider, ended)[0].error
    assert error is not None
    assert error.message == sentence
    shown = repr(provider.settings) + repr(ended) + str(fetch.visible_readings(provider, ended)) + caplog.text
    assert KEY not in shown
    assert KEY.encode() in server.requests[0]


def test_a_server_that_is_not_there_is_a_network_failure(ask: Ask) -> None:
    """The connection is refused."""
    with hostile(answer(200)) as gone:
        url = gone.url
    assert code_of(ask(url)) is ErrorCode.NETWORK


def test_a_server_that_accepts_no_connection_is_a_timeout(ask: Ask) -> None:
    """The connection is waited for until the deadline."""
    with never_accepting() as url:
        began = time.monotonic()
        assert code_of(ask(url, deadline=DEADLINE)) is ErrorCode.TIMEOUT
        assert time.monotonic() - began < DEADLINE + ROOM


WRONG = ('"7"', "true", "null", "NaN", "Infinity", "1e400", "1e-400", "[7]", "{}", "1000000000001")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_figure_of_the_wrong_type_never_becomes_another_figure(
    candidate: Candidate, ask: Ask, wrong: str
) -> None:
    """Spoil each number of a good answer in turn: every figure shown then was in the good answer, or is unknown."""
    with hostile(answer(200, candidate.good)) as server:
        measured = figures(ask(server.url))
    assert measured - {None}
    for body in spoilt(json.loads(candidate.good), wrong):
        with hostile(answer(200, body)) as server:
            assert figures(ask(server.url)) <= measured | {None}
            assert server.requests


def figures(ended: fetch.Outcome) -> set[object]:
    """Return the figures of an attempt; none if it failed, which must be as unreadable."""
    if ended.failure is not None:
        assert ended.failure.code is ErrorCode.INVALID_RESPONSE
    return {figure for reading in ended.readings for figure in amounts(reading)}


def amounts(reading: Reading) -> tuple[object, ...]:
    """A reading's figures."""
    return reading.total_quota, reading.remaining_quota, reading.used_quota, reading.usage_percentage


def spoilt(document: object, wrong: str) -> Iterator[bytes]:
    """Yield the document once for each of its numbers, with a wrong value in the number's place."""
    for place in numbers_in(document):
        copy = json.loads(json.dumps(document))
        put(copy, paths.Path(place), "PLACE")
        yield json.dumps(copy).replace('"PLACE"', wrong).encode()


def numbers_in(document: object) -> Iterator[tuple[Any, ...]]:
    """Yield the places of a document's numbers."""
    for step, value in document.items() if isinstance(document, dict) else ():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (step,)
        yield from ((step, *rest) for rest in numbers_in(value))


def test_the_server_is_left_at_the_deadline(ask: Ask) -> None:
    """Nothing stays connected to a server that drips for ever."""
    dripping = next(fault for fault in FAULTS if fault.name == "dripping body")
    with hostile(dripping.behavior) as server:
        ask(server.url, deadline=DEADLINE)
        assert server.left.wait(2)


def test_a_failure_does_not_follow_a_redirect_with_the_key(ask: Ask) -> None:
    """The host behind a Location is never asked."""
    with hostile(answer(200)) as elsewhere, hostile(answer(307, Location=elsewhere.url)) as server:
        ask(server.url)
        assert server.requests
        assert elsewhere.requests == []


def test_without_a_key_nothing_is_sent(
    candidate: Candidate, provider: Provider[Any], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure names the variable."""
    monkeypatch.setenv(provider.key_variable, "   ")
    with hostile(answer(200)) as server:
        ended = ask(server.url)
        assert server.requests == []
    reading = fetch.visible_readings(provider, ended)[0]
    assert reading.error is not None
    assert reading.error.message == (
        f"{provider.label} not configured. Please add {provider.key_variable} to environment variables."
    )


def test_a_provider_has_a_name_and_an_icon(provider: Provider[Any]) -> None:
    """Its card shows both; the icon is one of Streamlit's own, which no outside host has to deliver."""
    assert provider.label.strip() == provider.label != ""
    assert re.fullmatch(r":material/[a-z0-9_]+:", provider.icon)
    assert icons.is_known(provider.icon)


def test_services_have_labels_and_variables_of_their_own() -> None:
    """A label names one service, and a key belongs to one."""
    shipped = [kind() for kind in PYTHON.values()] + [samples.account_at(name) for name in NAMES]
    labels = [provider.label for provider in shipped]
    assert len(labels) == len(set(labels))
    variables = [name for provider in shipped for name in provider.configured]
    assert len(variables) == len(set(variables))


@pytest.mark.parametrize("kind", PYTHON.values(), ids=lambda kind: kind.__name__)
def test_a_shipped_providers_settings_are_documented(kind: type[Provider[Any]]) -> None:
    """`.env.example` lists each of its variables."""
    example = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    for field in kind.settings_class.model_fields:
        assert f"\n{kind.settings_class.variable(field)}=" in example


def test_every_provider_in_python_is_listed_and_a_candidate() -> None:
    """Otherwise it would never be shown, or not be tested here."""
    files = Path(__file__).parents[2].joinpath("integrations/providers").glob("*.py")
    helpers = {"__init__", "base", "renewal"}
    modules = {f"integrations.providers.{file.stem}" for file in files if file.stem not in helpers}
    assert modules == {kind.__module__ for kind in PYTHON.values()}
    assert {type(candidate.at("http://127.0.0.1:9")) for candidate in CANDIDATES} >= set(PYTHON.values())


NAMES = catalogue.names()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each service of the catalogue, its keys set."""
    found: str = request.param
    for variable in samples.account_at(found).configured:
        monkeypatch.setenv(variable, KEY)
    return found


def fetched(name: str, *behaviors: Behavior) -> list[fetch.Outcome]:
    """What a service's fetches give at a server that behaves like this, each for a fetch."""
    with hostile(*behaviors) as server:
        provider = samples.account_at(name, server.url)
        outcomes = [fetch.fetch(provider) for _ in behaviors]
        assert len(server.requests) == len(behaviors)
        assert all(KEY.encode() in request or b"Basic " in request for request in server.requests)
    return outcomes


def answering(sample: samples.Answer, body: str | bytes | None = None, **headers: str | None) -> Behavior:
    """A sample's answer, or another body in its place; None for a header takes it away."""
    named = {name.replace("-", "_"): text for name, text in sample.headers.items()} | headers
    kept = {name: text for name, text in named.items() if text is not None}
    text = sample.body if body is None else body
    return answer(sample.status, text.encode() if isinstance(text, str) else text, **kept)


def test_a_service_is_read_and_its_own_errors_are_classified(name: str) -> None:
    """A wrong key and the other answers of its samples, over a socket; HTML with 200 is no reading."""
    answers = [sample for sample in samples.sample(name).answers if sample.status not in RETRIED]
    outcomes = fetched(name, *(answering(sample) for sample in answers), answer(200, HTML))
    codes = [outcome.failure.code if outcome.failure else None for outcome in outcomes]
    assert codes == [*(sample.error for sample in answers), ErrorCode.INVALID_RESPONSE]


RETRIED = frozenset({502, 503, 504})


@pytest.mark.parametrize("kind", ["null", "absent", "word"])
def test_a_figure_that_is_spoilt_is_never_another_figure(name: str, kind: str) -> None:
    """Null, nothing or a word in its place: the quota fails, or the figure is unknown if the definition allows it."""
    good = samples.sample(name).answers[0]
    measured = quotas_of(name, good)
    known = {figure for quota in measured for figure in stated(quota)} | {None}
    for quota in catalogue.definition(name).quotas:
        for what, rule in quota.figures.items():
            for spoilt_answer in spoilt_answers(good, quota, rule, kind):
                read = quotas_of(name, spoilt_answer)
                if kind != "absent" or rule.absent is None:
                    assert {figure for each in read for figure in stated(each)} <= known
                if not may_lack(quota, what, rule, kind) and not any(each.unlimited for each in measured):
                    assert len(read) < len(measured) or quota.name not in {each.name for each in read}


def may_lack(quota: QuotaRule, what: str, rule: FigureRule, kind: str) -> bool:
    """Whether a quota may be read with this in a figure's place."""
    if kind == "null" and None in rule.unlimited:
        return True
    if kind == "absent" and rule.absent is not None:
        return True
    return kind != "word" and (quota.optional or rule.optional)


def quotas_of(name: str, sample: samples.Answer) -> tuple[Quota, ...]:
    """Return the quotas that can be read in an answer of a service."""
    read: tuple[Quota | FailedQuota, ...] = ()
    with suppress(ProviderError):
        read = samples.account_at(name).quotas_in(sample.response, now=samples.sample(name).now)
    return tuple(quota for quota in read if isinstance(quota, Quota))


def stated(quota: Quota) -> tuple[object, ...]:
    """Return a quota's figures."""
    return quota.used, quota.remaining, quota.total


def spoilt_answers(
    good: samples.Answer, quota: QuotaRule, rule: FigureRule, kind: str
) -> Iterator[samples.Answer]:
    """Yield a good answer with something wrong in a figure's place; for a list in its first element."""
    if rule.header is not None:
        others = {name: text for name, text in good.headers.items() if name != rule.header}
        headers = {"absent": others, "word": others | {rule.header: "x, x"}}
        if kind in headers:
            yield good.model_copy(update={"headers": headers[kind]})
        return
    begin = (*quota.each.steps, 0) if quota.each else ()
    for path in [rule.path] if rule.path else rule.sum or rule.first or []:
        steps = (*begin, *(0 if step is paths.Every.EVERY else step for step in path.steps))
        document = json.loads(good.body)
        if paths.Path(steps).find(document) is paths.ABSENT:  # an optional quota's
            continue
        word = "x7" if rule.text else "7"
        put(document, paths.Path(steps), {"null": None, "absent": paths.ABSENT, "word": word}[kind])
        yield good.model_copy(update={"body": json.dumps(document)})


def put(document: Any, path: paths.Path, value: object) -> None:
    """Another value in a path's place; `ABSENT` takes it away."""
    holder = paths.Path(path.steps[:-1]).find(document)
    last: Any = path.steps[-1]
    assert isinstance(holder, dict | list)
    if value is paths.ABSENT:
        del holder[last]
    else:
        holder[last] = value


def test_a_key_that_is_echoed_goes_nowhere(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """In a good answer and in a refusal: neither the reading, nor the log, nor the failure has it."""
    caplog.set_level(logging.DEBUG)
    good = samples.sample(name).answers[0]
    document = json.loads(good.body or "{}")
    echo = json.dumps({"api_key": KEY, **document} if isinstance(document, dict) else document)
    refusal = json.dumps({"error": KEY, "message": KEY, "detail": {"key": KEY}, "status": KEY, "code": KEY})
    outcomes = fetched(name, answering(good, echo), answer(401, refusal.encode()))
    assert outcomes[0].failure is None
    assert outcomes[1].failure is not None
    provider = samples.account_at(name)
    shown = "".join(str(fetch.visible_readings(provider, outcome)) + repr(outcome) for outcome in outcomes)
    assert KEY not in shown + caplog.text
