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
    """The command in this process."""
    return CliRunner().invoke(main, ["check", *arguments])


def fixes(result: Result) -> list[str]:
    """What there is to do."""
    return [line.removeprefix("FIX  ") for line in result.output.splitlines() if line.startswith("FIX ")]


def test_where_all_is_well_every_line_says_so(
    imai: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0, a line for each thing, whole paths, each account asked once, and no key."""
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
        "ok   cookie: kept over HTTPS; a proxy in front of this address must speak it",
        "ok   IMAI: Remaining: 7,500 credits. Used: 2,500 / 10,000 credits",
    ]
    assert imai.calls == 1


def test_offline_asks_nobody(imai: Simulator) -> None:
    """Whether the key is set is all that can be told."""
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
        (NO_KEY, (), "ok   Open: needs no key; not asked"),
        (NO_KEY, ("API_KEY",), "ok   Open: needs no key; not asked"),
    ],
)
def test_offline_every_key_that_is_needed_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, variables: tuple[str, ...], line: str
) -> None:
    """All of an account's, and none where it needs none, whatever else has the name API_KEY."""
    (tmp_path / "providers.yaml").write_text(content, encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(tmp_path / "providers.yaml"))
    for name in variables:
        monkeypatch.setenv(name, "bad key" if name == "API_KEY" else "test-key")
    assert check("--offline").output.splitlines()[-1] == line


def test_a_missing_total_is_told(imai: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no fault, and the line names the setting."""
    monkeypatch.delenv("IMAI_TOTAL_CREDITS")
    result = check()
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].endswith("Total unknown: set IMAI_TOTAL_CREDITS to see usage.")
    assert imai.calls == 1


@pytest.mark.parametrize("offline", [True, False])
def test_a_missing_key_is_to_be_set(offline: bool) -> None:  # noqa: FBT001 - pytest's way
    """Exit 1, with the variable's name."""
    result = check("--offline") if offline else check()
    assert result.exit_code == 1
    (line,) = fixes(result)
    assert "IMAI_API_KEY" in line


def test_a_wrong_key_is_told(imai: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the card's words; the key itself is not shown."""
    monkeypatch.setenv("IMAI_API_KEY", "another-test-key")
    result = check()
    assert result.exit_code == 1
    (line,) = fixes(result)
    assert line.startswith("IMAI: Unable to fetch quota. IMAI rejected the API key: check IMAI_API_KEY. ")
    assert "another-test-key" not in result.output
    assert imai.calls == 1


def test_a_failure_is_told_with_what_the_log_would_say(imai: Simulator) -> None:
    """The codes: the command writes no log of its own."""
    imai.mode = "http_503"
    (line,) = fixes(check())
    assert line.startswith("IMAI: Unable to fetch quota. Please try again. The log would say: ")
    assert "code=provider_unavailable http_status=503" in line


@pytest.mark.parametrize("command", [("check",), ("providers", "try", "IMAI")])
def test_a_base_url_without_its_path_is_told(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """With the setting that is most often wrong then, in `check` as in `providers try`."""
    monkeypatch.setenv("IMAI_API_BASE_URL", imai.url.removesuffix("/api"))
    *_, line = CliRunner().invoke(main, command).stdout.splitlines()
    assert "The log would say: code=invalid_response http_status=404" in line
    assert line.endswith("; is IMAI_API_BASE_URL right, path included?")


def test_each_account_names_its_own_variables(
    imai: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two IMAI accounts is told to set its own total, whatever their names begin with."""
    (tmp_path / ".streamlit").mkdir()
    file = tmp_path / ".streamlit" / "providers.yaml"
    file.write_text("accounts:\n  - service: imai\n  - {service: imai, name: Agency}\n", encoding="utf-8")
    monkeypatch.setenv("IMAI_AGENCY_API_BASE_URL", imai.url)
    monkeypatch.setenv("IMAI_AGENCY_API_KEY", imai.key)
    last = check().output.splitlines()[-1]
    assert last.startswith("ok   IMAI Agency: ")
    assert last.endswith("Total unknown: set IMAI_AGENCY_TOTAL_CREDITS to see usage.")


UNKNOWN_ICON = """
services:
  own: {label: Own, icon: ":material/send_mail:", request: {url: https://a.example/}, quotas: [{unit: a, used: a}]}
accounts: [{service: own}, {service: deepl}]
"""


def test_an_icon_that_there_is_not_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file and the account; the page draws another."""
    file = tmp_path / "own.yaml"
    file.write_text(UNKNOWN_ICON, encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    told = f"accounts: {file}: icon: :material/send_mail: of Own is no Material symbol: another one is shown"
    assert told in fixes(check("--offline"))


@pytest.mark.usefixtures("imai")
def test_a_missing_file_of_accounts_is_told_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the start warns of it; the accounts that are shown are not those that were meant."""
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", "none.yaml")
    result = check("--offline")
    assert result.exit_code == 1
    missing = f"{tmp_path}/none.yaml: there is no such file: IMAI alone is shown"
    assert fixes(result) == [f"accounts: PANEL_PROVIDERS_FILE: {missing}"]


def test_a_line_of_the_env_file_that_cannot_be_read_is_told_once(imai: Simulator, tmp_path: Path) -> None:
    """With its place; nothing else is looked at, as the settings would be others."""
    (tmp_path / ".env").write_text("IMAI_API_KEY: test-key\n", encoding="utf-8")
    result = check()
    (line,) = result.output.splitlines()
    assert line.startswith("FIX  settings: .env:1: cannot be read: expected NAME=value")
    assert (result.exit_code, imai.calls) == (1, 0)


def test_wrong_settings_are_all_told_and_nothing_else_is_looked_at(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line each."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "32")
    monkeypatch.setenv("PANEL_PORT", "high")
    result = check()
    assert result.exit_code == 1
    assert [line.split(": ")[1] for line in fixes(result)] == ["PANEL_PORT", "IMAI_RENEWAL_DAY"]
    assert imai.calls == 0


@pytest.mark.parametrize(
    ("name", "nearest"), [("PANEL_CACHE_TTL", "PANEL_CACHE_TTL_SECONDS"), ("IMAI_AGENCY_API_KEY", "IMAI_API_KEY")]
)  # fmt: skip
def test_a_name_that_is_no_setting_is_told_and_hides_nothing(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    """With the nearest; the panel starts all the same, so everything else is looked at, too."""
    before = check().output.splitlines()
    monkeypatch.setenv(name, "60")
    result = check()
    line = f"settings: {name} is no setting of the panel and is ignored. Did you mean {nearest}?"
    assert fixes(result) == [line]
    assert [other for other in result.output.splitlines() if line not in other] == before
    assert (result.exit_code, imai.calls) == (1, 2)


@pytest.mark.usefixtures("imai")
def test_a_file_of_accounts_with_a_defect_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its line."""
    file = tmp_path / "providers.yaml"
    file.write_text("accounts:\n  - service: nobody\n", encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    (line,) = fixes(check("--offline"))
    assert f"{file}:2" in line


@pytest.mark.usefixtures("imai")
def test_an_env_file_for_everybody_is_told(tmp_path: Path) -> None:
    """With the command that closes it."""
    env_file = tmp_path / ".env"
    env_file.touch()
    env_file.chmod(0o644)
    result = check("--offline")
    assert result.exit_code == 1
    assert fixes(result) == [f".env: others may read the keys (mode 0644). Run: chmod 600 {env_file}"]


@pytest.mark.usefixtures("imai")
@pytest.mark.parametrize(
    ("store", "mode", "says"),
    [
        (None, 0o600, " users add NAME --role admin"),
        ("roles: {}\ncredentials: {usernames: {}}\n", 0o600, "no user exists yet. Make the first: "),
        ("roles: [", 0o600, "line 1"),
        ("roles: {}\ncredentials: {usernames: {}}\n", 0o644, "Run: chmod 600 "),
    ],
)
def test_a_store_that_lets_nobody_in_is_told(tmp_path: Path, store: str | None, mode: int, says: str) -> None:
    """With its path and the command that helps."""
    path = tmp_path / "auth.yaml"
    path.unlink()
    if store is not None:
        path.write_text(store, encoding="utf-8")
        path.chmod(mode)
    result = check("--offline")
    assert result.exit_code == 1
    (line,) = fixes(result)
    assert line.startswith("users: ")
    assert str(path) in line
    assert says in line


@pytest.mark.usefixtures("imai")
def test_a_state_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its setting, and without the password in it."""
    monkeypatch.setenv("PANEL_STATE_URL", f"redis://:test-password@127.0.0.1:{free_port()}")
    (line,) = fixes(check("--offline"))
    assert line.startswith("state: PANEL_STATE_URL: 127.0.0.1:")
    assert "test-password" not in line


@pytest.mark.usefixtures("imai")
def test_a_store_in_which_nobody_may_read_is_told(tmp_path: Path, add_user: AddUser) -> None:
    """Signing in would show a refusal to everybody."""
    (tmp_path / "auth.yaml").unlink()
    add_user("victor", roles=["guest"])
    (line,) = fixes(check("--offline"))
    assert line.startswith("users: nobody has the permission integration:Read. Run: ")


@pytest.mark.usefixtures("imai")
@pytest.mark.parametrize(
    ("host", "secure", "ok"),
    [("127.0.0.1", "true", True), ("127.0.0.1", "false", False), ("0.0.0.0", "true", True), ("0.0.0.0", "false", True)],  # noqa: S104 - what is checked
)  # fmt: skip
def test_the_cookie_is_held_against_the_address(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    secure: str,
    ok: bool,  # noqa: FBT001 - pytest's way
) -> None:
    """An unprotected cookie has its place on a trusted network alone, and never behind a proxy on this machine."""
    monkeypatch.setenv("PANEL_HOST", host)
    monkeypatch.setenv("PANEL_COOKIE_SECURE", secure)
    result = check("--offline")
    (line,) = [line for line in result.output.splitlines() if line[5:].startswith("cookie: ")]
    assert line.startswith("ok ") is ok
    assert (result.exit_code == 0) is ok
