"""The checks of an installation, and what the start makes of them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations import accounts, checks
from integrations.checks import Finding, Severity
from integrations.settings import panel_settings
from tests.conftest import IMAI, AddUser
from tests.support.processes import clean_environment, free_port

NO_USERS = "roles: {admin: ['*']}\ncredentials: {usernames: {}}\n"
UNKNOWN_ICON = """
services:
  own: {label: Own, icon: ":material/send_mail:", request: {url: https://a.example/}, quotas: [{unit: a, used: a}]}
accounts: [{service: own}, {service: deepl}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the store's path."""
    return tmp_path / "auth.yaml"


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the log's lines after the first, which names the files in use."""
    first, *others = capsys.readouterr().err.splitlines()
    assert " INFO integrations: Settings from the environment" in first
    return others


def stopped_by() -> str:
    """Return the text of the error that stops the start."""
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    return str(stopped.value)


def write_private(file: Path, text: str) -> None:
    """Write a file for its owner alone."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def test_with_a_good_store_the_start_logs_one_line(
    add_user: AddUser, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the files in use by their whole paths, as another folder has other files."""
    monkeypatch.setenv("PANEL_STATE_URL", "sqlite:///state.sqlite3")
    places = f"users from {path}; state in {path.with_name('state.sqlite3')}"
    add_user("alice", roles=["admin"])
    checks.prepare()
    (line,) = capsys.readouterr().err.splitlines()
    env_file = path.with_name(".env")
    assert line.endswith(f"Settings from the environment; there is no {env_file}; {places}")
    write_private(env_file, "PANEL_SESSION_HOURS=2")
    checks.prepare()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"Settings from the environment, then from {env_file}; {places}")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("memory://", "memory"),
        ("sqlite:///state.sqlite3", "{folder}/state.sqlite3"),
        ("sqlite:///~/state.sqlite3", "/home/panel/state.sqlite3"),
        ("sqlite:////var/lib/x y/state.sqlite3", "/var/lib/x y/state.sqlite3"),
        ("redis://panel:test-password@cache.example:6379/2?password=test-password", "redis://cache.example:6379/2"),
        ("rediss://:test-password@[::1]:6379", "rediss://[::1]:6379"),
        ("unix://panel:test-password@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)  # fmt: skip
def test_the_place_of_the_state_is_shown_without_its_password(
    path: Path, monkeypatch: pytest.MonkeyPatch, url: str, place: str
) -> None:
    """The start logs it."""
    monkeypatch.setenv("HOME", "/home/panel")
    monkeypatch.setenv("PANEL_STATE_URL", url)
    assert checks.state_place(panel_settings()) == place.format(folder=path.parent)


@pytest.mark.parametrize(
    ("in_environment", "in_file", "defect"),
    [("json", "", "PANEL_PORT=many"), ("", "panel_log_format=JSON\n", "this is no line")],
)
def test_an_error_that_stops_the_server_has_the_format_of_the_log(
    path: Path, in_environment: str, in_file: str, defect: str
) -> None:
    """The format is found though the settings are wrong: one line, and exit 1."""
    path.with_name(".env").write_text(f"{in_file}{defect}\n", encoding="utf-8")
    environment = clean_environment({"PANEL_LOG_FORMAT": in_environment})
    run = subprocess.run(
        [sys.executable, "-c", "import integrations.app"],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, b"")
    (line,) = [json.loads(line) for line in run.stderr.splitlines()]
    assert (line["level"], line["logger"]) == ("ERROR", "integrations")
    assert line["message"].startswith("Not started: ")


def test_an_env_file_that_is_no_text_stops_the_start(path: Path) -> None:
    """Reading the log's format from it first raises no other error."""
    path.with_name(".env").write_bytes(b"PANEL_LOG_FORMAT=json\xff\n")
    assert "not UTF-8 text" in stopped_by()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, " users add NAME --role admin"),
        (NO_USERS, ": no user exists yet. Make the first: "),
        ("roles: [", "auth.yaml:1: "),
    ],
)
def test_without_a_usable_store_the_panel_starts_and_logs_why_nobody_can_sign_in(
    path: Path, capsys: pytest.CaptureFixture[str], text: str | None, expected: str
) -> None:
    """The first user is often added after the first start, and the store is read again after a change."""
    if text is not None:
        write_private(path, text)
    checks.prepare()
    (line,) = lines(capsys)
    assert f"ERROR integrations: Nobody can sign in yet: {path}" in line
    assert expected in line


def test_a_store_in_which_nobody_may_see_the_figures_is_found(add_user: AddUser) -> None:
    """The text names the permission and a command."""
    add_user("victor", roles=["guest"])
    (finding,) = checks.sign_in()
    assert (finding.about, finding.severity) == ("users", Severity.WARNING)
    assert finding.text.startswith("nobody has the permission integration:Read. Run: ")


@pytest.mark.parametrize(
    ("host", "secure", "severity"),
    [
        ("127.0.0.1", "true", Severity.OK),
        ("127.0.0.1", "false", Severity.WARNING),
        ("0.0.0.0", "true", Severity.OK),  # noqa: S104 - the tested value
        ("0.0.0.0", "false", Severity.INFO),  # noqa: S104 - the tested value
    ],
)
def test_the_cookie_is_compared_with_the_address(
    monkeypatch: pytest.MonkeyPatch, host: str, secure: str, severity: Severity
) -> None:
    """An unprotected cookie is for a trusted network alone, and never for a proxy on this machine."""
    monkeypatch.setenv("PANEL_HOST", host)
    monkeypatch.setenv("PANEL_COOKIE_SECURE", secure)
    assert [finding.severity for finding in checks.session_cookie()] == [severity]


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda path: path.touch(0o644), "others may access it (mode 0644). Run: chmod 600 {path}"),
        (
            lambda path: path.write_text("no database") and path.chmod(0o600),
            "{path}: damaged, or not a state",
        ),
        (lambda path: path.mkdir(), "{path}: Is a directory"),
        (lambda path: path.parent.rmdir(), "{path}: No such file or directory. Its folder must be there"),
    ],
)
def test_a_state_that_must_be_repaired_stops_the_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], object],
    expected: str,
) -> None:
    """One line names the variable, the file and the fix."""
    path = tmp_path / "state" / "state.sqlite3"
    path.parent.mkdir()
    prepare(path)
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{path}")
    text = stopped_by()
    assert text.startswith("PANEL_STATE_URL: ")
    assert expected.format(path=path) in text
    assert "State" not in capsys.readouterr().err


def test_a_redis_that_is_down_does_not_stop_the_start(
    add_user: AddUser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may come up later, and open pages wait for it; it is logged once, without the password."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", f"redis://:test-password@127.0.0.1:{free_port()}")
    checks.prepare()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if " INFO " not in line]
    assert " ERROR integrations.state.outage: State: writing fails: 127.0.0.1:" in line
    (finding,) = checks.state_access()
    assert (finding.about, finding.severity) == ("state", Severity.ERROR)
    assert finding.text.startswith("PANEL_STATE_URL: ")
    assert "test-password" not in line + finding.text


def test_a_wrong_place_of_the_state_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text does not repeat the value."""
    monkeypatch.setenv("PANEL_STATE_URL", "redis://:test-password@host:port")
    text = stopped_by()
    assert text.startswith("PANEL_STATE_URL: not the place of a state. Expected: ")
    assert "test-password" not in text


def test_every_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel's and the providers' are together, and no line has a key."""
    monkeypatch.setenv("PANEL_SESSION_HOURS", "0")
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "perhaps")
    monkeypatch.setenv("IMAI_API_KEY", "test key with spaces")
    text = stopped_by()
    names = ["PANEL_SESSION_HOURS", "PANEL_COOKIE_SECURE", "IMAI_API_KEY"]
    assert [line.partition(":")[0] for line in text.splitlines()] == names
    assert "test key" not in text


def test_a_key_that_fits_into_no_request_stops_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the account's variable, but not the key."""
    file = path.with_name("providers.yaml")
    file.write_text("accounts: [{service: deepl, key: TRANSLATION_KEY}]")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    monkeypatch.setenv("TRANSLATION_KEY", "test key of two lines\nor more")
    text = stopped_by()
    assert text.startswith("TRANSLATION_KEY: the key holds a space")
    assert "two lines" not in text


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_providers_file_that_others_may_change_stops_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """They could have any variable sent as a key to any host. Others may read it: it holds no secret."""
    file = path.with_name("providers.yaml")
    file.write_text("accounts: [{service: deepl}]", encoding="utf-8")
    file.chmod(mode)
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    assert stopped_by() == f"{file}: others may change it (mode {mode:04o}). Run: chmod go-w {file}"
    file.chmod(0o644)
    checks.prepare()


@pytest.mark.parametrize("named", [True, False])
def test_the_start_warns_of_a_missing_providers_file_unless_it_is_the_default(
    add_user: AddUser,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    named: bool,
) -> None:
    """IMAI alone is shown, which may not be intended; a copy of `.env.example` names the default."""
    add_user("alice", roles=["admin"])
    file = path.with_name("none.yaml") if named else Path(".streamlit/providers.yaml")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    checks.prepare()
    warned = [f"{file}: there is no such file: IMAI alone is shown" in line for line in lines(capsys)]
    assert warned == [True] * named


@pytest.mark.parametrize("named", [True, False])
def test_a_providers_file_that_is_gone_removes_no_account(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, named: bool
) -> None:
    """Reading it again logs an error with its path, whether it has the default path or another one."""
    file = path.with_name("providers.yaml") if named else Path(".streamlit/providers.yaml")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    file.parent.mkdir(exist_ok=True)
    file.write_text("accounts: [{service: deepl}]", encoding="utf-8")
    assert [provider.label for provider in accounts.current()] == ["DeepL"]
    file.unlink()
    checks.reload_accounts()
    assert [provider.label for provider in accounts.current()] == ["DeepL"]
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == f"The accounts stay as they were: {file}: there is no such file"


def test_without_a_providers_file_reading_again_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """IMAI alone is shown, as at the start."""
    checks.reload_accounts()
    assert [record.getMessage() for record in caplog.records] == ["Accounts reloaded: IMAI"]


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_read_stops_the_start(tmp_path: Path, add_user: AddUser, mode: int) -> None:
    """The line names the file, its mode, the variable and the fix, but not the key."""
    add_user("alice", roles=["admin"])
    file = tmp_path / ".env"
    file.write_text("PANEL_DEADLINE_SECONDS=3\nIMAI_API_KEY='test-key-not-secret'\n", encoding="utf-8")
    file.chmod(mode)
    assert stopped_by() == (
        f".env: others may access it (mode {mode:04o}), and it holds IMAI_API_KEY. Run: chmod 600 .env"
    )
    file.chmod(0o600)
    checks.prepare()


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("PANEL_HTTPS_PROXY=http://panel:test-password@proxy.example:3128", True),
        ("PANEL_HTTPS_PROXY=http://proxy.example:3128", False),
        ("PANEL_STATE_URL=redis://127.0.0.1:1?password=test-password", True),
        ("PANEL_STATE_URL=sqlite:///state@home.sqlite3", False),
        ("imai_api_key=test-key", True),
        ("IMAI_API_KEY=", False),
        ("TRANSLATION=test-key", True),
        ("TRANSLATIONS=test-key", False),
    ],
)
def test_others_may_read_an_env_file_without_secrets(
    path: Path, monkeypatch: pytest.MonkeyPatch, line: str, secret: bool
) -> None:  # fmt: skip
    """Secrets are keys, by any name that the providers' file gives them, and passwords in addresses."""
    providers = path.with_name("providers.yaml")
    providers.write_text("accounts: [{service: deepl, key: TRANSLATION}]", encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(providers))
    file = path.with_name(".env")
    file.write_text(f"{line}\n", encoding="utf-8")
    file.chmod(0o640)
    (finding,) = checks.env_file_access()
    assert finding.severity == (Severity.FATAL if secret else Severity.WARNING)
    assert (f"and it holds {line.partition('=')[0]}. Run: chmod 600 .env" in finding.text) is secret


def test_an_env_file_that_others_may_change_stops_the_start(path: Path) -> None:
    """They could set any variable, though it holds no secret."""
    path.with_name(".env").touch()
    path.with_name(".env").chmod(0o602)
    assert stopped_by() == ".env: others may access it (mode 0602). Run: chmod 600 .env"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("IMAI_TOTAL_CREDIT", "IMAI_TOTAL_CREDITS"),
        ("PANEL_CACHE_TTL", "PANEL_CACHE_TTL_SECONDS"),
        ("imai_apikey", "IMAI_API_KEY"),
        ("PANEL_QQQQQQQQ", None),
    ],
)
def test_a_name_that_is_no_setting_is_found_with_the_nearest_setting(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str | None
) -> None:
    """In `.env` and in the environment; the value is not shown, and names with other prefixes are ignored."""
    hint = f" (did you mean {nearest}?)" if nearest else ""
    text = f"{name.upper()} is no setting of the panel and is ignored{hint}"
    expected = [Finding("settings", text, Severity.WARNING)]
    path.with_name(".env").write_text(f"OTHER_NAME=1\n{name}=test-value\n", encoding="utf-8")
    assert list(checks.unknown_variables()) == expected
    path.with_name(".env").unlink()
    monkeypatch.setenv(name, "test-value")
    assert list(checks.unknown_variables()) == expected


def test_the_start_warns_of_an_unknown_icon(
    add_user: AddUser, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So does every later reading of the file."""
    add_user("alice", roles=["admin"])
    file = path.with_name("own.yaml")
    file.write_text(UNKNOWN_ICON, encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    for read in (checks.prepare, checks.reload_accounts):
        caplog.clear()
        read()
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert line.startswith(f"{file}: icon: :material/send_mail: of Own is no Material symbol")


@pytest.mark.usefixtures("add_user")
def test_every_setting_is_known(path: Path) -> None:
    """The example file with a value in every line causes no warning."""
    example = (Path(__file__).parents[1] / ".env.example").read_text(encoding="utf-8")
    names = [line.partition("=")[0] for line in example.splitlines() if "=" in line and line[0] != "#"]
    path.with_name(".env").write_text("".join(f"{name}=1\n" for name in names), encoding="utf-8")
    assert len(names) > 10
    accounts.replace((IMAI,))  # the providers' file that the example names does not exist
    assert list(checks.unknown_variables()) == []
