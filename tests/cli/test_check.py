"""`integrations check`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integrations.cli.main import main
from integrations.demo.server import Simulator
from tests.conftest import AddUser
from tests.support.processes import free_port


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])
    add_user("victor", roles=["guest"])


def check(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["check", *arguments])


def fixes(result: Result) -> list[str]:
    """The lines that name something to correct."""
    return [line.removeprefix("FIX  ") for line in result.output.splitlines() if line.startswith("FIX ")]


def test_if_all_is_well_every_line_begins_with_ok(
    imai: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0, a line for each check, whole paths; each account is asked once, and no key is shown."""
    monkeypatch.setenv("PANEL_STATE_URL", "memory://")
    (tmp_path / ".env").touch(mode=0o600)
    result = check()
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"ok   settings: Settings from the environment, then from {tmp_path}/.env",
        f"ok   accounts: IMAI; there is no {tmp_path}/.streamlit/providers.yaml",
        f"ok   .env: {tmp_path}/.env is its owner's alone",
        "ok   state: can be read and written: memory",
        f"ok   users: 1 of 2 may see the figures, from {tmp_path}/auth.yaml",
        "ok   cookie: kept over HTTPS: 127.0.0.1 needs --ssl-certfile, or a proxy with HTTPS in front of it",
        "ok   IMAI: Remaining: 7,500 credits. Used: 2,500 / 10,000 credits",
    ]
    assert imai.calls == 1


def test_everything_to_correct_is_printed_and_the_exit_code_is_1(
    imai: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One defect hides no other, and no password is printed."""
    (tmp_path / ".env").touch(mode=0o644)
    (tmp_path / "auth.yaml").chmod(0o644)
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", "none.yaml")
    monkeypatch.setenv("PANEL_STATE_URL", f"redis://:test-password@127.0.0.1:{free_port()}")
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    result = check()
    assert [line.partition(":")[0] for line in fixes(result)] == [
        "accounts",
        ".env",
        "state",
        "users",
        "cookie",
    ]
    assert "test-password" not in result.output
    assert (result.exit_code, imai.calls) == (1, 1)


def test_offline_asks_no_provider(imai: Simulator) -> None:
    """It only checks that the key is set."""
    result = check("--offline")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "ok   IMAI: IMAI_API_KEY is set; not asked"
    assert imai.key not in result.output
    assert imai.calls == 0


TWO_KEYS = "accounts: [{service: hypeauditor}]"
NO_KEY = """
services:
  open: {label: Open, request: {url: "https://open.example.com/left"}, quotas: [{remaining: left, unit: calls}]}
accounts: [{service: open}]
"""


@pytest.mark.parametrize(
    ("content", "variables", "line"),
    [
        (TWO_KEYS, (), "FIX  HypeAuditor: no key: set HYPEAUDITOR_AUTH_ID and HYPEAUDITOR_AUTH_TOKEN"),
        (TWO_KEYS, ("HYPEAUDITOR_AUTH_ID",), "FIX  HypeAuditor: no key: set HYPEAUDITOR_AUTH_TOKEN"),
        (
            TWO_KEYS,
            ("HYPEAUDITOR_AUTH_ID", "HYPEAUDITOR_AUTH_TOKEN"),
            "ok   HypeAuditor: HYPEAUDITOR_AUTH_ID and HYPEAUDITOR_AUTH_TOKEN are set; not asked",
        ),
        (NO_KEY, ("API_KEY",), "ok   Open: needs no key; not asked"),
    ],
)
def test_offline_every_required_key_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, variables: tuple[str, ...], line: str
) -> None:
    """All keys of an account, or none if it needs none, though another variable has the name API_KEY."""
    (tmp_path / "providers.yaml").write_text(content, encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(tmp_path / "providers.yaml"))
    for name in variables:
        monkeypatch.setenv(name, "bad key" if name == "API_KEY" else "test-key")
    assert check("--offline").output.splitlines()[-1] == line


@pytest.mark.parametrize("offline", [True, False])
def test_a_missing_key_must_be_set(offline: bool) -> None:
    """Exit 1, and the variable's name."""
    result = check("--offline") if offline else check()
    assert result.exit_code == 1
    (line,) = fixes(result)
    assert "IMAI_API_KEY" in line


def test_a_failure_is_reported_with_the_text_for_the_log(imai: Simulator) -> None:
    """The command writes no log itself."""
    imai.mode = "http_503"
    result = check()
    (line,) = fixes(result)
    assert result.exit_code == 1
    assert line.startswith("IMAI: Unable to fetch quota. Please try again. The log would say: ")
    assert "code=provider_unavailable http_status=503" in line


@pytest.mark.parametrize("command", [("check",), ("providers", "try", "IMAI")])
def test_a_base_url_without_its_path_is_reported(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """`check` and `providers try` name the setting that is probably wrong."""
    monkeypatch.setenv("IMAI_API_BASE_URL", imai.url.removesuffix("/api"))
    *_, line = CliRunner().invoke(main, command).stdout.splitlines()
    assert "The log would say: code=invalid_response http_status=404" in line
    assert line.endswith("; is IMAI_API_BASE_URL right, path included?")


def test_each_account_names_its_own_variables(
    imai: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the second IMAI account names the variable of its missing total, which is no defect."""
    (tmp_path / ".streamlit").mkdir()
    file = tmp_path / ".streamlit" / "providers.yaml"
    file.write_text("accounts:\n  - service: imai\n  - {service: imai, name: Agency}\n", encoding="utf-8")
    monkeypatch.setenv("IMAI_AGENCY_API_BASE_URL", imai.url)
    monkeypatch.setenv("IMAI_AGENCY_API_KEY", imai.key)
    last = check().output.splitlines()[-1]
    assert last.startswith("ok   IMAI Agency: ")
    assert last.endswith("Total unknown: set IMAI_AGENCY_TOTAL_CREDITS to see usage.")


def test_all_wrong_settings_are_printed_and_nothing_else_is_checked(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line each."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "32")
    monkeypatch.setenv("PANEL_PORT", "high")
    result = check()
    assert result.exit_code == 1
    assert [line.split(": ")[1] for line in fixes(result)] == ["PANEL_PORT", "IMAI_RENEWAL_DAY"]
    assert imai.calls == 0


def test_a_name_that_is_no_setting_is_reported_and_hides_nothing(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel starts nevertheless, so everything else is checked, too."""
    before = check().output.splitlines()
    monkeypatch.setenv("IMAI_AGENCY_API_KEY", "test-key")
    result = check()
    line = (
        "settings: IMAI_AGENCY_API_KEY is no setting of the panel and is ignored (did you mean IMAI_API_KEY?)"
    )
    assert fixes(result) == [line]
    assert [other for other in result.output.splitlines() if line not in other] == before
    assert (result.exit_code, imai.calls) == (1, 2)
