"""A key in the URL: no failure shows it in a log, exception, page, JSON, repr or output of a command."""

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import quote_plus

import pytest
import tenacity
from click.testing import CliRunner

from integrations import accounts
from integrations.cli.main import main
from integrations.providers.declared.provider import DeclaredProvider
from integrations.quota.errors import ProviderError
from integrations.readings import fetch
from integrations.transport import client
from integrations.transport.client import Client
from tests.conftest import AddUser
from tests.providers import definitions, hostile
from tests.providers.faults import FAULTS, Fault
from tests.providers.hostile import answer, never_accepting
from tests.ui.test_card import written
from tests.ui.test_sign_in import Visit, signed_in, visit

__all__ = ["visit"]

KEY = "test+key/01%23=45"
FORMS = (KEY, quote_plus(KEY), "test+key", "test%2Bkey")
"""Plain, and as in a URL."""

DEADLINE = "0.4"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(client, "_BACKOFF", tenacity.wait_fixed(0.01))
    monkeypatch.setenv(definitions.VARIABLE, KEY)
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", DEADLINE)
    caplog.set_level(logging.DEBUG)


def provider_at(url: str) -> DeclaredProvider:
    """Acme, with its key in the URL; the only account."""
    provider = definitions.acme(url, definitions.QUERY)
    accounts.replace((provider,))
    return provider


def secret_in(text: str) -> list[str]:
    """The forms of the key that a text holds."""
    return [form for form in FORMS if form in text]


def chained(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that is chained to it."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None:
            yield link
            waiting += [link.__cause__, link.__context__]


def shown_by_exceptions(provider: DeclaredProvider) -> str:
    """Return everything that the exception of a failed fetch shows, with all chained ones."""
    http = Client(deadline=float(DEADLINE), failure_in=provider.failure_in)
    timer = threading.Timer(float(DEADLINE), http.close)
    timer.start()
    with closing(http):
        try:
            provider.fetch(http)
        except ProviderError as error:
            timer.cancel()
            links = [repr(link) + str(link) + repr(vars(link)) for link in chained(error)]
            return "".join([*links, *traceback.format_exception(error)])
    raise AssertionError("the fetch should have failed")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_no_failure_shows_the_url(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    """Neither log (DEBUG too), exceptions, JSON, repr nor `providers try`."""
    with hostile.hostile(fault.behavior) as server:
        provider = provider_at(server.url)
        shown = shown_by_exceptions(provider)
        outcome = fetch.fetch(provider)
        shown += repr(outcome) + repr(provider) + repr(provider.settings) + repr(vars(provider))
        shown += fetch.get_all_integrations_usage(
            read=lambda _: fetch.visible_readings(provider, outcome)
        ).model_dump_json()
        shown += CliRunner().invoke(main, ["providers", "try", "Acme"]).output
        assert all(
            secret_in(request.decode("latin-1")) for request in server.requests if request[:3] == b"GET"
        )
        assert server.requests
    assert secret_in(shown + caplog.text) == []


def test_no_connection_that_fails_shows_the_url(caplog: pytest.LogCaptureFixture) -> None:
    """An address without a server, and a server that accepts no connection."""
    with hostile.hostile(answer(200)) as gone:
        url = gone.url
    shown = shown_by_exceptions(provider_at(url))
    with never_accepting() as silent:
        shown += shown_by_exceptions(provider_at(silent))
    assert secret_in(shown + caplog.text) == []


ONE_OF_EACH = {fault.code: fault for fault in FAULTS}


@pytest.mark.parametrize("fault", ONE_OF_EACH.values(), ids=lambda fault: fault.code)
def test_the_page_does_not_show_the_url(visit: Visit, add_user: AddUser, fault: Fault) -> None:
    """The card has the sentence, and nothing of the address."""
    add_user("alice", roles=["admin"])
    with hostile.hostile(fault.behavior) as server:
        provider_at(server.url)
        page = visit(signed_in())
    sentence = fault.code.sentence(label="Acme", key_variable=definitions.VARIABLE, wait=fault.wait)
    assert sentence in written(page)
    assert secret_in(written(page) + repr(page)) == []


def test_a_good_reading_does_not_show_the_url(caplog: pytest.LogCaptureFixture) -> None:
    """Urllib3 logs each request's path, and a header that it cannot parse, with the URL; not here."""
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 37\r\n not a header\r\nX\x00: 1\r\n\r\n" + definitions.GOOD
    for behavior in (answer(200, definitions.GOOD), hostile.raw(broken)):
        with hostile.hostile(behavior) as server, suppress(ProviderError):
            fetch.fetch_quotas(provider_at(server.url))
    assert secret_in(caplog.text) == []
