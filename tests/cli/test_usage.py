"""`integrations usage`, as cron calls it."""

import json

import pytest
from click.testing import CliRunner, Result

from integrations.cli.main import main
from integrations.simulator import Simulator


def usage(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, ["usage", *arguments])


def test_it_prints_the_endpoints_json_and_exits_0(imai: Simulator) -> None:
    """The same document, from the same service; no store is needed."""
    result = usage()
    assert result.exit_code == 0
    (reading,) = json.loads(result.stdout)["integrations"]
    assert (reading["provider"], reading["remainingQuota"], reading["status"]) == ("IMAI", 7500, "active")
    assert imai.calls == 1


def test_a_failed_provider_is_exit_2_with_the_json_all_the_same(imai: Simulator) -> None:
    """Standard output stays JSON; the log goes elsewhere."""
    imai.mode = "subscription_expired"
    result = usage()
    assert result.exit_code == 2
    assert json.loads(result.stdout)["integrations"][0]["error"]["code"] == "subscription_inactive"
    assert "subscription_expired" in result.stderr


def test_not_configured_is_exit_2() -> None:
    """A provider without a key is not active."""
    assert usage().exit_code == 2


@pytest.mark.parametrize("name", ["IMAI_TOTAL_CREDITS", "PANEL_DEADLINE_SECONDS"])
def test_wrong_settings_are_exit_1_with_a_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Nothing is printed that a script could take for a document."""
    monkeypatch.setenv(name, "many")
    result = usage()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {name}: ")


def test_the_table_is_for_people(imai: Simulator) -> None:
    """Columns, grouped figures, a dash for what is unknown, and the reason of a failure."""
    lines = usage("--table").stdout.splitlines()
    assert lines[0].split() == ["Provider", "State", "Remaining", "Total", "Used", "%", "Unit"]
    assert lines[1].split() == ["IMAI", "Active", "7,500", "10,000", "2,500", "25", "credits"]
    imai.mode = "http_500"
    result = usage("--table")
    assert result.stdout.splitlines()[1].split() == ["IMAI", "Unavailable", "-", "-", "-", "-", "credits"]
    assert result.stdout.splitlines()[2] == "IMAI: Unable to fetch quota. Please try again."
    assert result.exit_code == 2
