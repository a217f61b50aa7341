"""`GET /metrics`, over a real socket and read by Prometheus' own tools."""

import os
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
import time_machine
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from integrations import accounts
from integrations.demo.server import Simulator
from integrations.quota.models import Quota, Reading
from integrations.quota.rules import Thresholds
from integrations.readings import shared
from integrations.web import metrics
from tests.conftest import IMAI, AddUser, forget
from tests.support.processes import wait_for
from tests.ui import gallery
from tests.web.asgi_server import Server
from tests.web.test_usage import cookie_of, problem, token

PROMTOOL = shutil.which("promtool") or "/usr/bin/promtool"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])


@pytest.fixture
def bearer() -> str:
    """Return the header of a token with the right to read."""
    return f"Bearer {token()}"


def scrape(server: Server, bearer: str) -> str:
    """Scrape; return the text."""
    answer = server.ask("/metrics", authorization=bearer)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return answer.body.decode()


def samples(text: str) -> dict[str, float]:
    """Return the value of each sample, such as `integration_up{integration=IMAI}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()) if value)
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def check_metrics(text: str) -> None:
    """Check that promtool reads the text without a complaint."""
    run = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_every_figure_is_a_metric(
    server: Server, imai: Simulator, bearer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures of the JSON under the documented names."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "27")
    imai.credits = "7499.98"
    (reading,) = shared.fresh_report([IMAI]).integrations
    assert reading.fetched_at is not None
    assert reading.renews_at is not None
    text = scrape(server, bearer)
    check_metrics(text)
    found = samples(text)
    quota = "{integration=IMAI,unit=credits}"
    assert found[f"integration_quota_total{quota}"] == 10000
    assert found[f"integration_quota_remaining{quota}"] == 7499.98
    assert found[f"integration_quota_used{quota}"] == 2500.02
    assert found[f"integration_quota_used_ratio{quota}"] == 0.25
    assert found[f"integration_quota_level{quota}"] == 0
    assert found[f"integration_renews_timestamp_seconds{quota}"] == reading.renews_at.timestamp()
    assert found["integration_up{integration=IMAI}"] == 1
    assert (
        found["integration_last_success_timestamp_seconds{integration=IMAI}"]
        == reading.fetched_at.timestamp()
    )
    assert not [name for name in found if name.startswith("integration_error")]


def test_the_panel_has_metrics_of_its_own(server: Server, imai: Simulator, bearer: str) -> None:
    """Sessions without the expired ones; and for this process open pages, requests and their duration."""
    imai.mode = "flaky"
    assert cookie_of("alice")
    with connect(f"ws://{server.host}/_stcore/stream", subprotocols=["streamlit"]):  # type: ignore[list-item]
        found = samples(scrape(server, bearer))
    assert found["integration_panel_sessions{}"] == 1
    own = f"process={os.getpid()}"
    assert found[f"integration_panel_websockets{{{own}}}"] == 1
    assert found[f"integration_requests_total{{integration=IMAI,{own}}}"] == imai.calls
    assert found[f"integration_fetch_duration_seconds_count{{integration=IMAI,{own}}}"] == 1
    assert 0 < found[f"integration_fetch_duration_seconds_sum{{integration=IMAI,{own}}}"] < 30
    wait_for(
        lambda: not samples(scrape(server, bearer))[f"integration_panel_websockets{{{own}}}"],
        "the websocket is closed",
    )
    with time_machine.travel(time.time() + 13 * 3600):
        assert samples(scrape(server, bearer))["integration_panel_sessions{}"] == 0


def test_unknown_is_absent(server: Server, bearer: str) -> None:
    """Without a key there is no figure, neither 0 nor NaN, and the code of the error."""
    text = scrape(server, bearer)
    check_metrics(text)
    found = samples(text)
    assert "NaN" not in text
    assert not [name for name in found if name.startswith(("integration_quota", "integration_renews"))]
    assert not [name for name in found if name.startswith("integration_last_success")]
    assert found["integration_up{integration=IMAI}"] == 0
    assert found["integration_error{code=not_configured,integration=IMAI}"] == 1


def test_a_measured_0_is_0(server: Server, imai: Simulator, bearer: str) -> None:
    """A negative balance is negative, with a ratio above 1."""
    imai.credits = "0"
    assert samples(scrape(server, bearer))["integration_quota_remaining{integration=IMAI,unit=credits}"] == 0
    imai.credits = "-12.5"
    forget()
    found = samples(scrape(server, bearer))
    assert found["integration_quota_remaining{integration=IMAI,unit=credits}"] == -12.5
    assert found["integration_quota_used_ratio{integration=IMAI,unit=credits}"] == 1.001


def test_stale_figures_keep_their_time(server: Server, imai: Simulator, bearer: str) -> None:
    """`integration_up` is 0; the figures and their time are the last good ones; the error has its code."""
    before = samples(scrape(server, bearer))
    imai.mode = "http_500"
    shared.of(IMAI).request_refresh()
    with time_machine.travel(time.time() + 60):
        shared.of(IMAI).request_refresh()
        after = samples(scrape(server, bearer))
    figure = "integration_quota_remaining{integration=IMAI,unit=credits}"
    success = "integration_last_success_timestamp_seconds{integration=IMAI}"
    assert (before["integration_up{integration=IMAI}"], after["integration_up{integration=IMAI}"]) == (1, 0)
    assert before[figure] == after[figure] == 7500
    assert before[success] == after[success]
    assert after["integration_error{code=provider_unavailable,integration=IMAI}"] == 1


def test_a_projection_is_a_metric(
    server: Server, imai: Simulator, bearer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is that of the JSON, and the level that of the present balance."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "1")
    imai.credits = "1000"
    with time_machine.travel(datetime(2026, 11, 16, tzinfo=UTC)):
        (reading,) = shared.fresh_report([IMAI]).integrations
        found = samples(scrape(server, bearer))
    assert reading.projected_exhaustion_at is not None
    quota = "{integration=IMAI,unit=credits}"
    projected = found[f"integration_projected_exhaustion_timestamp_seconds{quota}"]
    assert projected == reading.projected_exhaustion_at.timestamp()
    assert found[f"integration_quota_level{quota}"] == 1


def test_a_scrape_causes_no_further_call_and_holds_no_secret(
    server: Server, imai: Simulator, bearer: str
) -> None:
    """Page, endpoint and ten scrapes share one call; key, token, address and user name are in no label."""
    shared.fresh_report([IMAI])
    assert server.ask("/integrations/usage", authorization=bearer).status == 200
    for _ in range(10):
        text = scrape(server, bearer)
    assert imai.calls == 1
    for secret in (imai.key, bearer.partition(" ")[2], imai.url, "alice"):
        assert secret not in text


@pytest.mark.usefixtures("imai")
def test_openmetrics_has_the_same_samples(server: Server, bearer: str) -> None:
    """The other format has its end mark."""
    answer = server.ask("/metrics", authorization=bearer, accept=OPENMETRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    text = answer.body.decode()
    assert text.endswith("# EOF\n")
    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    names = {sample.name for family in families for sample in family.samples}
    plain = text_string_to_metric_families(scrape(server, bearer))
    assert names == {sample.name for family in plain for sample in family.samples}


@pytest.mark.usefixtures("imai")
@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; version=1.0.0 ; q=0.5, text/plain;q=0.5", True),
        (
            "application/openmetrics-text;q=0.5,application/openmetrics-text;q=0.4,text/plain;q=0.3,*/*;q=0.1",
            True,
        ),
        ("application/openmetrics-text;q=0, text/plain", False),
        ("application/openmetrics-text;q=0.000", False),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.9", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=0" + "9" * 5000, False),
        ("application/openmetrics-textual", False),
        ("text/plain;version=" + "9" * 5000, False),
        ("application/json", False),
        ("\xff", False),
        (",;=,", False),
        ("*/*", False),
    ],
)
def test_the_accept_header_chooses_the_format(
    server: Server, bearer: str, accept: str, *, is_openmetrics: bool
) -> None:
    """The greater weight wins, and a weight of 0 is a refusal; anything unreadable gets the plain format."""
    answer = server.ask("/metrics", authorization=bearer, accept=accept)
    assert answer.status == 200
    media_type = "application/openmetrics-text" if is_openmetrics else "text/plain"
    assert answer.headers["content-type"].startswith(media_type)


def test_only_a_machine_with_the_right_reads(server: Server, imai: Simulator) -> None:
    """No token, a wrong one, one in the URL and a person's cookie: 401; a token without the permission: 403."""
    secret = token()
    cookie = cookie_of("alice")
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic eA=="},
        {"cookie": cookie},
    ):
        answer = server.ask("/metrics", "GET", None, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert problem(answer)["title"] == "Unauthorized"
    assert server.ask(f"/metrics?token={secret}").status == 401
    refused = server.ask("/metrics", authorization=f"Bearer {token('guest', 'blind')}")
    assert (refused.status, problem(refused)["title"]) == (403, "Forbidden")
    assert server.ask("/metrics", "POST", authorization=f"Bearer {secret}").status == 405
    assert imai.calls == 0


def test_every_state_is_read_by_promtool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading without figures has no sample of them."""

    class Account:
        def __init__(self, label: str) -> None:
            self.label = label

    readings = {
        name: (reading.model_copy(update={"provider": name}),) for name, reading in gallery.STATES.items()
    }
    monkeypatch.setattr(accounts, "current", lambda: [Account(name) for name in readings])
    monkeypatch.setattr(shared, "of", lambda account: SimpleNamespace(readings=readings[account.label]))
    text = metrics._exposition(openmetrics=False)[0].decode()
    check_metrics(text)
    remaining = re.findall(r'^integration_quota_remaining\{integration="([^"]+)"', text, re.MULTILINE)
    assert remaining == [name for name, (state,) in readings.items() if state.remaining_quota is not None]


def test_labels_are_escaped_and_each_quota_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with quotes, a backslash and a line break stays one label."""
    label = 'Odd "name" \\ here'

    class Account:
        def __init__(self) -> None:
            self.label = label

    def reading(name: str, left: int, unit: str) -> Reading:
        quota = Quota(remaining=Decimal(left), name=name, unit=unit)
        return Reading.measured(label, quota, at=gallery.NOW, thresholds=Thresholds())

    several = (reading("Searches", 1, "searches"), reading("Exports\nto", 2, "exports"))
    monkeypatch.setattr(accounts, "current", lambda: [Account()])
    monkeypatch.setattr(shared, "of", lambda _: SimpleNamespace(readings=several))
    text = metrics._exposition(openmetrics=False)[0].decode()
    check_metrics(text)
    (family,) = [
        family
        for family in text_string_to_metric_families(text)
        if family.name == "integration_quota_remaining"
    ]
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"integration": label, "quota": "Searches", "unit": "searches"}, 1),
        ({"integration": label, "quota": "Exports\nto", "unit": "exports"}, 2),
    ]
