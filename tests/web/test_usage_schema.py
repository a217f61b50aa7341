"""The answers of `GET /integrations/usage` in every state match docs/usage.schema.json and its formats."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from integrations.demo.account import Mode
from integrations.demo.server import Simulator
from integrations.readings import shared
from tests.conftest import IMAI, AddUser, forget
from tests.support.processes import ROOT
from tests.web.asgi_server import Server
from tests.web.test_usage import USAGE, token


def _is_a_date_time(value: object) -> bool:
    """Check for RFC 3339 in UTC with a Z, as documented; jsonschema's own check needs another package."""
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value)
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value) is not None


FORMATS = FormatChecker(formats=())
FORMATS.checks("date-time", raises=ValueError)(_is_a_date_time)
VALIDATOR = Draft202012Validator(
    json.loads((ROOT / "docs" / "usage.schema.json").read_text(encoding="utf-8")), format_checker=FORMATS
)


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])


@dataclass
class Stage:
    """The parts of which a test prepares a state."""

    imai: Simulator
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    bearer: str

    def set(self, name: str, value: str) -> None:
        """Set a variable of the panel."""
        self.monkeypatch.setenv(name, value)
        forget()

    def serve_without_limit(self) -> None:
        """Configure a service whose plan has no limit."""
        self.imai.pages["/limitless"] = (200, {}, b'{"limit": null, "used": 3}')
        url = self.imai.url.removesuffix("/api") + "/limitless"
        quota = "{unit: USD, used: used, total: {path: limit, unlimited: [null]}}"
        request = f"{{url: '{url}', key: {{header: X-Key}}}}"
        file = self.folder / "providers.yaml"
        file.write_text(
            "accounts: [{service: acme}]\n"
            f"services: {{acme: {{label: Acme, request: {request}, quotas: [{quota}]}}}}\n",
            encoding="utf-8",
        )
        self.monkeypatch.setenv("ACME_API_KEY", self.imai.key)
        self.set("PANEL_PROVIDERS_FILE", str(file))


@pytest.fixture
def stage(imai: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """Prepare an account that answers well and has a renewal day."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "27")
    return Stage(imai, monkeypatch, tmp_path, f"Bearer {token()}")


def answer(server: Server, stage: Stage) -> dict[str, Any]:
    """Return the only reading of the endpoint's answer, after its validation."""
    body = json.loads(server.ask(USAGE, authorization=stage.bearer).body)
    VALIDATOR.validate(body)
    (reading,) = body["integrations"]
    return dict(reading)


def credits_left(amount: str) -> Callable[[Stage], None]:
    """Set the remaining credits, of 10,000."""
    return lambda stage: setattr(stage.imai, "credits", amount)


def failing(mode: str) -> Callable[[Stage], None]:
    """Set the mode of the provider."""
    return lambda stage: setattr(stage.imai, "mode", mode)


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        pytest.param(credits_left("7499.98"), ("active", "ok", 7499.98, None), id="ok"),
        pytest.param(credits_left("1500"), ("active", "warning", 1500, None), id="low"),
        pytest.param(credits_left("400"), ("active", "critical", 400, None), id="almost exhausted"),
        pytest.param(credits_left("0"), ("active", "exhausted", 0, None), id="exhausted"),
        pytest.param(credits_left("-12.5"), ("active", "exhausted", -12.5, None), id="overdrawn"),
        pytest.param(
            lambda stage: stage.set("IMAI_TOTAL_CREDITS", ""), ("active", None, 7500, None), id="no total"
        ),
        pytest.param(Stage.serve_without_limit, ("active", "ok", None, None), id="unlimited"),
        pytest.param(
            lambda stage: stage.set("IMAI_API_KEY", ""),
            ("error", None, None, "not_configured"),
            id="not configured",
        ),
        pytest.param(
            failing("rate_limit_exceeded"), ("unavailable", None, None, "rate_limited"), id="rate limited"
        ),
        pytest.param(
            failing("no_quota_remaining"), ("error", None, None, "quota_exhausted"), id="quota_exhausted"
        ),
    ],
)
def test_an_answer_is_valid_in_every_state(
    server: Server, stage: Stage, prepare: Callable[[Stage], None], expected: tuple[object, ...]
) -> None:
    """Its status, level, figure and code are those of the state."""
    prepare(stage)
    reading = answer(server, stage)
    code = reading["error"] and reading["error"]["code"]
    assert (reading["status"], reading["level"], reading["remainingQuota"], code) == expected
    assert reading["stale"] is False


def test_an_answer_is_valid_when_it_is_stale(server: Server, stage: Stage) -> None:
    """It has the last good figures with their time, the error, and the seconds to wait."""
    good = answer(server, stage)
    stage.imai.mode, stage.imai.retry_after = "http_503", 60
    with time_machine.travel(time.time() + 60):
        shared.of(IMAI).request_refresh()
        stale = answer(server, stage)
    assert (stale["stale"], stale["remainingQuota"], stale["fetchedAt"]) == (True, 7500, good["fetchedAt"])
    assert stale["error"] == {**stale["error"], "code": "provider_unavailable", "retryAfter": 60}


@pytest.mark.parametrize("mode", [mode for mode in Mode if 400 <= mode.status < 500])
def test_an_answer_is_valid_after_each_refusal_of_the_provider(
    server: Server, stage: Stage, mode: Mode
) -> None:
    """The error has a code and a sentence."""
    stage.imai.mode = mode
    assert answer(server, stage)["error"]["message"]


@pytest.mark.parametrize("defect", ["2026-11-23", "2026-11-23T07:25:21", "2026-13-23T07:25:21Z", "soon"])
def test_the_validation_notices_a_wrong_time(server: Server, stage: Stage, defect: str) -> None:
    """Otherwise the tests above would not check times."""
    assert stage.imai.calls == 0
    reading = answer(server, stage)
    assert reading["renewsAt"] is not None
    with pytest.raises(ValidationError, match="date-time"):
        VALIDATOR.validate({"integrations": [{**reading, "renewsAt": defect}]})
