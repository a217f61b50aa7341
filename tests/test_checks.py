"""What is checked before the panel serves."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations import accounts, checks
from integrations.settings import panel_settings
from tests.cli.test_check import UNKNOWN_ICON
from tests.conftest import IMAI, AddUser
from tests.support.processes import clean_environment, free_port

NO_USERS = "roles: {admin: ['*']}\ncredentials: {usernames: {}}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "auth.yaml"


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the log says after its first line, which names the files that count."""
    first, *others = capsys.readouterr().err.splitlines()
    assert " INFO integrations: Settings from the environment" in first
    return others


def test_with_a_good_store_the_start_says_what_it_read_and_no_more(
    add_user: AddUser, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole paths: in another folder the files are others."""
    monkeypatch.setenv("PANEL_STATE_URL", "sqlite:///state.sqlite3")
    places = f"users from {path}; state in {path.with_name('state.sqlite3')}"
    add_user("alice", roles=["admin"])
    checks.prepare()
    (line,) = capsys.readouterr().err.splitlines()
    env_file = path.with_name(".env")
    assert line.endswith(f"Settings from the environment; there is no {env_file}; {places}")
    env_file.write_text("PANEL_SESSION_HOURS=2", encoding="utf-8")
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
def test_the_place_of_the_state_is_told_without_its_password(
    path: Path, monkeypatch: pytest.MonkeyPatch, url: str, place: str
) -> None:
    """Which state counts is seen at the start, and nothing that opens it."""
    monkeypatch.setenv("HOME", "/home/panel")
    monkeypatch.setenv("PANEL_STATE_URL", url)
    assert checks.state_place(panel_settings()) == place.format(folder=path.parent)


@pytest.mark.parametrize(
    ("in_environment", "in_file"),
    [("json", ""), ("", "PANEL_LOG_FORMAT=json\n"), ("", "panel_log_format=JSON\n")],
)
@pytest.mark.parametrize("defect", ["this is no line", "PANEL_PORT=many"])
def test_what_stops_a_server_that_imports_the_panel_has_the_form_of_the_log(
    path: Path, in_environment: str, in_file: str, defect: str
) -> None:
    """Wherever the form stands, and though the settings are wrong: one line, and exit 1."""
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
    (told,) = [json.loads(line) for line in run.stderr.splitlines()]
    assert (told["level"], told["logger"]) == ("ERROR", "integrations")
    assert told["message"].startswith("Not started: ")


def test_an_env_file_that_is_no_text_stops_the_start_as_ever(path: Path) -> None:
    """With its line, though the form of the log is looked for in it before."""
    path.with_name(".env").write_bytes(b"PANEL_LOG_FORMAT=json\xff\n")
    with pytest.raises(checks.StartError, match="not UTF-8 text"):
        checks.prepare()


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_store_that_others_may_access_stops_the_start(path: Path, add_user: AddUser, mode: int) -> None:
    """The line names the setting, the file, its mode and the cure."""
    add_user("alice", roles=["admin"])
    path.chmod(mode)
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    assert str(stopped.value) == (
        f"PANEL_AUTH_FILE: {path}: others may access it (mode {mode:04o}). Run: chmod 600 {path}"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, " users add NAME --role admin"),
        (NO_USERS, " users add NAME --role admin"),
        ("roles: [", "line 1"),
    ],
)
def test_without_a_usable_store_the_panel_starts_and_says_why_nobody_can_sign_in(
    path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    """The first user is often added after the first start, and the store is read again when it changes."""
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    checks.prepare()
    (line,) = lines(capsys)
    assert "ERROR integrations: Nobody can sign in yet: " in line
    assert says in line


def test_the_start_warns_of_a_cookie_without_https(
    add_user: AddUser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, for whoever left the setting there after a trial."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    checks.prepare()
    (line,) = lines(capsys)
    assert "WARNING integrations: PANEL_COOKIE_SECURE=false" in line


@pytest.mark.parametrize(
    ("prepare", "says"),
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
def test_a_state_that_a_person_must_mend_stops_the_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], object],
    says: str,
) -> None:
    """With one line that names the variable, the file and what to do."""
    path = tmp_path / "state" / "state.sqlite3"
    path.parent.mkdir()
    prepare(path)
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{path}")
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    assert str(stopped.value).startswith("PANEL_STATE_URL: ")
    assert says.format(path=path) in str(stopped.value)
    assert "State" not in capsys.readouterr().err


def test_a_redis_that_is_down_does_not_stop_the_start(
    add_user: AddUser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may come up later, and pages that are open wait for it; the log has one line, without the password."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", f"redis://:test-password@127.0.0.1:{free_port()}")
    checks.prepare()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if " INFO " not in line]
    assert " ERROR integrations.state.outage: State: writing fails: 127.0.0.1:" in line
    assert "test-password" not in line


def test_a_wrong_place_of_the_state_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, beside other wrong settings, and without the value."""
    monkeypatch.setenv("PANEL_STATE_URL", "redis://:test-password@host:port")
    with pytest.raises(checks.StartError) as stopped:
        checks.check_settings()
    assert str(stopped.value).startswith("PANEL_STATE_URL: not the place of a state. Expected: ")
    assert "test-password" not in str(stopped.value)


def test_every_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel's and the providers', together, and no value of a secret."""
    monkeypatch.setenv("PANEL_SESSION_HOURS", "0")
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "perhaps")
    monkeypatch.setenv("IMAI_API_KEY", "test key with spaces")
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    lines = str(stopped.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "PANEL_SESSION_HOURS",
        "PANEL_COOKIE_SECURE",
        "IMAI_API_KEY",
    ]
    assert "test key" not in str(stopped.value)


def test_every_defect_of_the_providers_file_stops_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line each, with the file and the line."""
    file = path.with_name("providers.yaml")
    file.write_text("accounts:\n  - service: dpl\n  - {service: imai, key: X}\n")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    first, second = str(stopped.value).splitlines()
    assert first.startswith(f"{file}:2: accounts[0].service: unknown service: expected ")
    assert second.startswith(f"{file}:3: accounts[1].key: expected ")


def test_a_key_that_no_request_can_hold_stops_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the account's variable, and not the key."""
    file = path.with_name("providers.yaml")
    file.write_text("accounts: [{service: deepl, key: TRANSLATION_KEY}]")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    monkeypatch.setenv("TRANSLATION_KEY", "test key of two lines\nor more")
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    assert str(stopped.value).startswith("TRANSLATION_KEY: the key holds a space")
    assert "two lines" not in str(stopped.value)


def test_a_providers_file_that_is_named_and_missing_is_warned_about(
    add_user: AddUser, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """IMAI alone is shown, which may not be what was meant."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(path.with_name("none.yaml")))
    checks.prepare()
    (line,) = lines(capsys)
    assert "none.yaml: there is no such file: IMAI alone is shown" in line


def test_the_default_providers_file_need_not_be_there(
    add_user: AddUser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who copies `.env.example` names it, and means nothing by that."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", ".streamlit/providers.yaml")
    checks.prepare()
    assert lines(capsys) == []


@pytest.mark.parametrize("named", [True, False])
def test_a_providers_file_that_is_gone_takes_no_account_away(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, named: bool
) -> None:
    """Reading it anew is an error in the log that names it, by the default name as by another one."""
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


def test_a_file_that_was_named_and_never_there_is_an_error_of_each_reading(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """IMAI stays, and the log does not say that all is well."""
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(path.with_name("none.yaml")))
    checks.reload_accounts()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert [provider.label for provider in accounts.current()] == ["IMAI"]


def test_without_a_providers_file_reading_anew_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was there before, nothing is named: IMAI alone, as at the start."""
    checks.reload_accounts()
    assert [record.getMessage() for record in caplog.records] == ["Accounts read anew: IMAI"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_others_may_read_stops_the_start(tmp_path: Path, add_user: AddUser, mode: int) -> None:
    """The line names the file, its mode, the variable and the cure, and not the key."""
    add_user("alice", roles=["admin"])
    file = tmp_path / ".env"
    file.write_text("PANEL_DEADLINE_SECONDS=3\nIMAI_API_KEY='test-key-not-secret'\n", encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(checks.StartError) as stopped:
        checks.prepare()
    assert str(stopped.value) == (
        f".env: others may access it (mode {mode:04o}), and it holds IMAI_API_KEY. Run: chmod 600 .env"
    )
    file.chmod(0o600)
    checks.prepare()


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("PANEL_HTTPS_PROXY=http://panel:test-password@proxy.example:3128", True),
        ("PANEL_HTTPS_PROXY=http://proxy.example:3128", False),
        ("PANEL_STATE_URL=redis://:test-password@127.0.0.1:1", True),
        ("PANEL_STATE_URL=redis://127.0.0.1:1?password=test-password", True),
        ("PANEL_STATE_URL=sqlite:///state@home.sqlite3", False),
        ("imai_api_key=test-key", True),
        ("TRANSLATION=test-key", True),
        ("TRANSLATIONS=test-key", False),
    ],
)
def test_whatever_is_a_secret_is_for_the_owner_alone(
    path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch, line: str, secret: bool  # noqa: FBT001 - pytest's way
) -> None:  # fmt: skip
    """Passwords in addresses, and keys by whatever name the providers' file gives them."""
    add_user("alice", roles=["admin"])
    providers = path.with_name("providers.yaml")
    providers.write_text("accounts: [{service: deepl, key: TRANSLATION}]", encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(providers))
    file = path.with_name(".env")
    file.write_text(f"{line}\n", encoding="utf-8")
    file.chmod(0o640)
    if secret:
        with pytest.raises(
            checks.StartError, match=rf"and it holds {line.partition('=')[0]}\. Run: chmod 600"
        ):
            checks.check()
    else:
        checks.check()


def test_an_env_file_without_a_key_may_be_read_by_others(tmp_path: Path, add_user: AddUser) -> None:
    """There is nothing in it to take."""
    add_user("alice", roles=["admin"])
    file = tmp_path / ".env"
    file.write_text("IMAI_API_KEY=\nPANEL_DEADLINE_SECONDS=3\n", encoding="utf-8")
    file.chmod(0o644)
    checks.prepare()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("IMAI_TOTAL_CREDIT", "IMAI_TOTAL_CREDITS"),
        ("PANEL_CACHE_TTL", "PANEL_CACHE_TTL_SECONDS"),
        ("imai_apikey", "IMAI_API_KEY"),
        ("PANEL_XYZZY", None),
    ],
)
def test_a_name_that_is_no_setting_is_told_with_the_nearest(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str | None
) -> None:
    """In `.env` and in the environment; its value is not shown, and names of others are not ours to judge."""
    hint = f" Did you mean {nearest}?" if nearest else ""
    expected = [f"{name.upper()} is no setting of the panel and is ignored.{hint}"]
    path.with_name(".env").write_text(f"OTHER_NAME=1\n{name}=test-value\n", encoding="utf-8")
    assert list(checks.unknown_variables()) == expected
    path.with_name(".env").unlink()
    monkeypatch.setenv(name, "test-value")
    assert list(checks.unknown_variables()) == expected


def test_the_start_warns_of_a_name_that_is_no_setting(
    add_user: AddUser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line in the log."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("IMAI_TOTAL_CREDIT", "10000")
    checks.prepare()
    (line,) = lines(capsys)
    assert "WARNING integrations: IMAI_TOTAL_CREDIT is no setting" in line


def test_the_start_warns_of_an_icon_that_there_is_not(
    add_user: AddUser, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So does every later reading of the file; one line each."""
    add_user("alice", roles=["admin"])
    file = path.with_name("own.yaml")
    file.write_text(UNKNOWN_ICON, encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    for read in (checks.prepare, checks.reload_accounts):
        caplog.clear()
        read()
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert "icon: :material/send_mail: of Own is no Material symbol" in line


@pytest.mark.usefixtures("add_user")
def test_every_setting_is_known(path: Path) -> None:
    """The example file, every line of it filled, causes no warning."""
    example = (Path(__file__).parents[1] / ".env.example").read_text(encoding="utf-8")
    names = [line.partition("=")[0] for line in example.splitlines() if "=" in line and line[0] != "#"]
    path.with_name(".env").write_text("".join(f"{name}=1\n" for name in names), encoding="utf-8")
    assert len(names) > 10
    accounts.replace((IMAI,))  # the file of accounts that is named above is not there
    assert list(checks.unknown_variables()) == []
