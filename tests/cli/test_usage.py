"""`integrations usage`, as cron calls it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integrations import accounts
from integrations.cli import nagios
from integrations.cli.main import main
from integrations.demo.server import Simulator
from integrations.quota.errors import ErrorCode
from integrations.quota.models import Quota, Reading, UsageError, UsageReport
from integrations.quota.rules import Thresholds
from integrations.readings import fetch
from integrations.state import state
from tests.providers import definitions
from tests.providers.hostile import answer, hostile


def usage(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["usage", *arguments])


def test_it_prints_the_endpoints_json_and_exits_0(imai: Simulator) -> None:
    """It needs no store."""
    result = usage()
    assert result.exit_code == 0
    (reading,) = json.loads(result.stdout)["integrations"]
    assert (reading["provider"], reading["remainingQuota"], reading["status"]) == ("IMAI", 7500, "active")
    assert imai.calls == 1


def test_a_failed_provider_is_exit_2_with_the_json_all_the_same(imai: Simulator) -> None:
    """The log is on standard error."""
    imai.mode = "subscription_expired"
    result = usage()
    assert result.exit_code == 2
    assert json.loads(result.stdout)["integrations"][0]["error"]["code"] == "subscription_inactive"
    assert "subscription_expired" in result.stderr


def test_a_service_that_may_be_asked_once_an_hour_is_not_asked_by_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch may cost a unit of the quota, so the last reading in the state is printed."""
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    with hostile(answer(200, definitions.GOOD)) as server:
        accounts.replace((definitions.acme(server.url, request="every: 1h"),))
        first, second = (json.loads(usage().stdout)["integrations"][0] for _ in range(2))
        assert usage("--table").exit_code == 0
    assert first["remainingQuota"] == 37.5
    assert second == first
    assert len(server.requests) == 1
    state().close()


def test_not_configured_is_exit_2() -> None:
    """A provider without a key is not active."""
    assert usage().exit_code == 2


def test_wrong_settings_are_exit_1_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is empty, so no script takes it for a document."""
    monkeypatch.setenv("IMAI_TOTAL_CREDITS", "many")
    result = usage()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: IMAI_TOTAL_CREDITS: ")


def test_the_table_is_for_people(imai: Simulator) -> None:
    """It has columns, grouped figures, a dash for an unknown figure, and the reason of a failure."""
    lines = usage("--table").stdout.splitlines()
    assert lines[0].split() == ["Provider", "State", "Remaining", "Total", "Used", "%", "Unit"]
    assert lines[1].split() == ["IMAI", "Active", "7,500", "10,000", "2,500", "25", "credits"]
    imai.mode = "http_500"
    result = usage("--table")
    assert result.stdout.splitlines()[1].split() == ["IMAI", "Unavailable", "-", "-", "-", "-", "credits"]
    assert result.stdout.splitlines()[2] == "IMAI: Unable to fetch quota. Please try again."
    assert result.exit_code == 2


def test_the_schema_is_printed_without_a_call(imai: Simulator) -> None:
    """It is docs/usage.schema.json, byte by byte."""
    printed = usage("--schema")
    file = Path(__file__).parents[2] / "docs" / "usage.schema.json"
    assert printed.stdout == file.read_text(encoding="utf-8")
    assert (printed.exit_code, imai.calls) == (0, 0)


@pytest.mark.parametrize(
    ("credits_left", "fail_on", "exit_code"),
    [
        ("2100", "warning", 0),
        ("2000", "warning", 3),
        ("2000", "critical", 0),
        ("500", "critical", 3),
        ("500", "exhausted", 0),
        ("-12.5", "exhausted", 3),
    ],
)
def test_a_level_that_is_reached_is_exit_3(
    imai: Simulator, credits_left: str, fail_on: str, exit_code: int
) -> None:
    """`--fail-on` names the lowest level; the document is printed all the same."""
    imai.credits = credits_left
    result = usage("--fail-on", fail_on)
    assert result.exit_code == exit_code
    assert json.loads(result.stdout)["integrations"][0]["remainingQuota"] == float(credits_left)
    assert usage().exit_code == 0


def test_a_failed_provider_is_exit_2_whatever_the_levels(imai: Simulator) -> None:
    """Its level is unknown."""
    imai.mode = "http_500"
    assert usage("--fail-on", "warning").exit_code == 2


@pytest.mark.parametrize(
    ("left", "exit_code", "line"),
    [
        ("7500", 0, ("OK - IMAI: Active, Remaining: 7,500 credits, Used: 2,500 / 10,000 credits | "
                    "'IMAI remaining'=7500;;;;10000 'IMAI used'=25%;80;95")),
        ("1500", 1, ("WARNING - IMAI: Low, Remaining: 1,500 credits, Used: 8,500 / 10,000 credits | "
                    "'IMAI remaining'=1500;;;;10000 'IMAI used'=85%;80;95")),
        ("0.5", 2, ("CRITICAL - IMAI: Almost exhausted, Remaining: 0.5 credits, Used: 9,999.5 / 10,000 credits | "
                   "'IMAI remaining'=0.5;;;;10000 'IMAI used'=99.9%;80;95")),
        ("-12.5", 2, ("CRITICAL - IMAI: Exhausted, Remaining: -12.5 credits, Used: 10,012.5 / 10,000 credits | "
                     "'IMAI remaining'=-12.5;;;;10000 'IMAI used'=100.1%;80;95")),
    ],
)  # fmt: skip
def test_nagios_gets_its_codes_and_performance_data(
    imai: Simulator, left: str, exit_code: int, line: str
) -> None:
    """One line; figures plain, without grouping or exponent."""
    imai.credits = left
    result = usage("--nagios")
    assert (result.exit_code, result.stdout) == (exit_code, f"INTEGRATIONS {line}\n")


@pytest.mark.parametrize(
    ("mode", "exit_code", "line"),
    [
        ("http_500", 3, "UNKNOWN - IMAI: Unable to fetch quota. Please try again."),
        ("no_tokens_remaining", 2,
         "CRITICAL - IMAI: Unable to fetch quota. IMAI refuses requests: nothing is left of the quota."),
    ],
)  # fmt: skip
def test_nagios_gets_a_failure_without_a_figure(
    imai: Simulator, mode: str, exit_code: int, line: str
) -> None:
    """It is UNKNOWN and has no performance data; an account without quota is CRITICAL."""
    imai.mode = mode
    result = usage("--nagios")
    assert (result.exit_code, result.stdout) == (exit_code, f"INTEGRATIONS {line}\n")


def test_nagios_does_not_rate_a_balance_without_a_total(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is OK and "not rated"; an empty one is CRITICAL."""
    monkeypatch.delenv("IMAI_TOTAL_CREDITS")
    result = usage("--nagios")
    assert (result.exit_code, result.stdout) == (
        0,
        "INTEGRATIONS OK - IMAI: not rated, Remaining: 7,500 credits, Total unknown. | 'IMAI remaining'=7500\n",
    )
    imai.credits = "0"
    assert usage("--nagios").exit_code == 2


@pytest.mark.parametrize(("credits_left", "exit_codes"), [("300", (2, 3)), ("301", (1, 0))])
def test_floors_alert_without_a_total(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, credits_left: str, exit_codes: tuple[int, int]
) -> None:
    """They hold for Nagios and for --fail-on."""
    path = Path("providers.yaml")
    path.write_text("accounts: [{service: imai, low: 1000, critical: 300}]", encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(path))
    monkeypatch.delenv("IMAI_TOTAL_CREDITS")
    imai.credits = credits_left
    assert (usage("--nagios").exit_code, usage("--fail-on", "critical").exit_code) == exit_codes


def test_a_plan_that_includes_nothing_raises_no_alarm() -> None:
    """0 of 0 is neither exhausted for Nagios nor for --fail-on."""
    with hostile(answer(200, b'{"data": {"used": 0, "limit": 0}}')) as server:
        accounts.replace((definitions.acme(server.url, key="[]", variables=()),))
        assert usage("--fail-on", "warning").exit_code == 0
        result = usage("--nagios")
    assert (result.exit_code, "not rated" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["usage", "--nagios"], "IMAI_TOTAL_CREDITS: "),
        (["usage", "--nagios", "--verbose"], "No such option"),
        (["usage", "--nagios", "--fail-on"], "Option '--fail-on' requires an argument."),
        (["usgae", "--nagios"], "No such command 'usgae'."),
        (["--env-file", "absent", "usage", "--nagios"], "Invalid value for '--env-file': File 'absent' does"),
        (["usage", "--nagios", "--table"], "--table and --nagios cannot be given together."),
        (["usage", "--fail-on", "warning", "--nagios"], "--nagios and --fail-on cannot be given together."),
    ],
)
def test_nagios_gets_a_wrong_setting_or_command_line_as_unknown(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    """One line on standard output, and exit 3: Nagios takes the usual 2 for CRITICAL."""
    monkeypatch.setenv("IMAI_TOTAL_CREDITS", "many")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 3
    assert result.stdout.startswith(f"INTEGRATIONS UNKNOWN - {reason}")
    assert (result.stdout.count("\n"), imai.calls) == (1, 0)


def test_nagios_gets_a_crash_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the kind of the exception; the trace is on standard error."""

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("test-key")

    monkeypatch.setattr(fetch, "get_all_integrations_usage", crash)
    result = usage("--nagios")
    assert result.exit_code == 3
    assert result.stdout == "INTEGRATIONS UNKNOWN - the command failed: RuntimeError\n"
    assert "Traceback" in result.stderr


def test_nagios_runs_the_command_as_a_process(tmp_path: Path) -> None:
    """Its exit code is the plugin's, also after a wrong command line."""
    command = [sys.executable, "-m", "integrations.cli", "usage", "--nagios"]
    ends = [
        subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
        for more in ([], ["--table"])
    ]
    assert [done.returncode for done in ends] == [3, 3]
    assert ends[0].stdout.startswith("INTEGRATIONS UNKNOWN - IMAI: IMAI not configured.")
    assert usage("--nagios", "--help").exit_code == 0


@pytest.mark.parametrize("others", [["--table", "--schema"], ["--schema", "--fail-on", "critical"]])
def test_options_that_exclude_each_other_are_refused(others: list[str]) -> None:
    """The exit code is 2."""
    result = usage(*others)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be given together." in result.stderr


def test_the_worst_state_of_several_is_the_plugins() -> None:
    """The order is CRITICAL, WARNING, UNKNOWN; no name breaks the performance data."""

    def reading(name: str, left: str) -> Reading:
        quota = Quota(remaining=Decimal(left), total=Decimal(100))
        return Reading.measured(name, quota, at=datetime.now(UTC), thresholds=Thresholds())

    error = UsageError(code=ErrorCode.TIMEOUT, message="No answer.")
    unknown = Reading.without_figures("C", error)
    good, low, empty = reading("A", "90"), reading("B", "15"), reading("It's=|", "0")
    states = [
        nagios.plugin_output(UsageReport(integrations=some), Thresholds())[0]
        for some in ([good], [good, unknown], [good, unknown, low], [good, unknown, low, empty], [])
    ]
    assert states == [0, 3, 1, 2, 3]
    _, line = nagios.plugin_output(UsageReport(integrations=[empty]), Thresholds())
    assert line.count("|") == 1
    assert line.endswith("| 'It''s-/ remaining'=0;;;;100 'It''s-/ used'=100%;80;95")
