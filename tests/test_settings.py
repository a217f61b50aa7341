"""The panel's settings."""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from integrations import checks
from integrations.cli.main import main
from integrations.files import env_file
from integrations.providers import PYTHON
from integrations.providers.imai import ImaiSettings
from integrations.quota.errors import SettingsError
from integrations.settings import PanelSettings, ProviderSettings
from tests.access.test_credentials import as_nobody_special

EXAMPLE = (Path(__file__).parents[1] / ".env.example").read_text(encoding="utf-8")
DEFAULTS = {
    "PANEL_CACHE_TTL_SECONDS": "300",
    "PANEL_DEADLINE_SECONDS": "10",
    "PANEL_WARNING_PERCENT": "80",
    "PANEL_CRITICAL_PERCENT": "95",
    "PANEL_AUTH_FILE": ".streamlit/auth.yaml",
    "PANEL_STATE_URL": "sqlite:///.streamlit/state.sqlite3",
    "PANEL_SESSION_HOURS": "12",
    "PANEL_SESSION_IDLE_MINUTES": "60",
    "PANEL_COOKIE_SECURE": "true",
    "PANEL_LOG_LEVEL": "INFO",
    "PANEL_LOG_FORMAT": "text",
    "PANEL_TRUSTED_PROXIES": "127.0.0.1,::1",
    "PANEL_ALLOWED_HOSTS": "",
    "PANEL_HOST": "127.0.0.1",
    "PANEL_PORT": "8501",
    "IMAI_API_BASE_URL": "https://imai.co/api",
    "IMAI_RENEWAL_TIME": "00:00",
}


def text_of(value: object) -> str:
    """Return a value as written in `.env`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(value)
    return value.strftime("%H:%M") if hasattr(value, "strftime") else str(value)


def variables() -> dict[str, object]:
    """Return every variable with its default."""
    kinds: list[type[PanelSettings | ProviderSettings]] = [PanelSettings]
    kinds += [provider.settings_class for provider in PYTHON.values()]
    return {kind.variable(name): field.default for kind in kinds for name, field in kind.model_fields.items()}


def test_the_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documents name the same values."""
    monkeypatch.delenv("PANEL_AUTH_FILE")
    monkeypatch.delenv("PANEL_STATE_URL")
    found = variables()
    assert {name: text_of(found[name]) for name in DEFAULTS} == DEFAULTS
    assert [found[name] for name in ("IMAI_API_KEY", "IMAI_TOTAL_CREDITS", "IMAI_RENEWAL_DAY")] == [None] * 3


def test_the_example_lists_every_setting_with_its_default_and_a_reason() -> None:
    """It has a line `NAME=default` for each, with a comment above it or above its neighbors, and no other line."""
    reason, listed = "", {}
    for line in EXAMPLE.splitlines():
        if line.startswith(("PANEL_", "IMAI_")):
            name, _, listed_default = line.partition("=")
            listed[name] = listed_default
            assert reason.startswith("# "), name
        else:
            reason = line
    assert listed == {name: "" if value is None else text_of(value) for name, value in variables().items()}


def test_the_example_is_a_good_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unchanged copy gives the defaults: a blank value is absent."""
    monkeypatch.delenv("PANEL_AUTH_FILE")
    monkeypatch.delenv("PANEL_STATE_URL")
    (tmp_path / ".env").write_text(EXAMPLE, encoding="utf-8")
    assert PanelSettings.load() == PanelSettings.model_construct(
        **{name: field.default for name, field in PanelSettings.model_fields.items()}
    )
    assert ImaiSettings.load().api_key is None


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported variable takes precedence."""
    (tmp_path / ".env").write_text("PANEL_DEADLINE_SECONDS=3\nPANEL_WARNING_PERCENT=70\n", encoding="utf-8")
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "4")
    settings = PanelSettings.load()
    assert (settings.deadline_seconds, settings.warning_percent) == (4, Decimal(70))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PANEL_CACHE_TTL_SECONDS", "0"),
        ("PANEL_CACHE_TTL_SECONDS", "1.5"),
        ("PANEL_DEADLINE_SECONDS", "nan"),
        ("PANEL_DEADLINE_SECONDS", "inf"),
        ("PANEL_WARNING_PERCENT", "0"),
        ("PANEL_WARNING_PERCENT", "101"),
        ("PANEL_SESSION_HOURS", "-1"),
        ("PANEL_SESSION_IDLE_MINUTES", "0"),
        ("PANEL_COOKIE_SECURE", "perhaps"),
        ("PANEL_LOG_LEVEL", "LOUD"),
        ("PANEL_PORT", "65536"),
        ("PANEL_CA_FILE", "absent.pem"),
        ("PANEL_CA_FILE", "."),
        ("PANEL_HTTPS_PROXY", "panel:test-password@proxy.example:3128"),
        ("PANEL_HTTPS_PROXY", "https://proxy.example:3128"),
        ("PANEL_HTTPS_PROXY", "http://proxy.example"),
        ("PANEL_HTTPS_PROXY", "http://proxy.example:x"),
        ("PANEL_SESSION_HOURS", '"12"'),
        ("PANEL_TRUSTED_PROXIES", "nginx"),
        ("PANEL_TRUSTED_PROXIES", "*"),
        ("PANEL_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("PANEL_ALLOWED_HOSTS", "https://panel.example.com"),
        ("PANEL_ALLOWED_HOSTS", "panel.example.com:8501"),
        ("PANEL_ALLOWED_HOSTS", "panel.*.com"),
        ("PANEL_ALLOWED_HOSTS", "*"),
    ],
)
def test_a_wrong_value_is_one_line_with_variable_problem_and_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """An operator needs no documentation to correct it; a password in it is not printed."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        PanelSettings.load()
    line = str(caught.value)
    assert line.startswith(f"{name}: ")
    assert ". Expected: " in line
    assert "\n" not in line
    assert "test-password" not in line


def test_proxies_and_hosts_are_lists_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold addresses, networks and names; `none` trusts no proxy."""
    monkeypatch.setenv("PANEL_TRUSTED_PROXIES", "10.0.0.0/8, 2001:DB8::1")
    monkeypatch.setenv("PANEL_ALLOWED_HOSTS", "Panel.example.com, *.example.org,[::1]")
    settings = PanelSettings.load()
    assert settings.trusted_proxies == ("10.0.0.0/8", "2001:db8::1")
    assert settings.allowed_hosts == ("panel.example.com", "*.example.org", "[::1]")
    monkeypatch.setenv("PANEL_TRUSTED_PROXIES", "none")
    assert PanelSettings.load().trusted_proxies == ()


def test_the_levels_must_be_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A critical level below the warning would never be shown."""
    monkeypatch.setenv("PANEL_WARNING_PERCENT", "95")
    with pytest.raises(SettingsError, match=r"^PANEL_CRITICAL_PERCENT: not above PANEL_WARNING_PERCENT\. "):
        PanelSettings.load()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """Neither another encoding nor the file of another user ends in a traceback."""
    file = tmp_path / ".env"
    file.write_bytes("PANEL_LOG_LEVEL=DEBÜG".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"^\.env: not UTF-8 text\. "):
        PanelSettings.load()
    file.chmod(0)
    with (
        as_nobody_special(),
        pytest.raises(SettingsError, match=r"^\.env: cannot be read: Permission denied"),
    ):
        PanelSettings.load()


def test_a_named_file_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that starts later must not continue with the defaults."""
    monkeypatch.setenv(env_file.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match=r"^PANEL_ENV_FILE: .*/gone: there is no such file\.$"):
        PanelSettings.load()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("IMAI_API_KEY: test-key\n", [1]),
        ("IMAI_API_KEY:test-key\n", [1]),
        ("\n# a comment\n\nIMAI_API_KEY='test-key\nIMAI_RENEWAL_DAY=1\nIMAI_API_KEY test-key", [4, 6]),
        ("\ufeffA-B=1\nA.B='1\n2'\nexport HOME\nHOME\n\n  # a comment\n=\n", [8]),
    ],
)
def test_a_line_that_cannot_be_read_stops_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, lines: list[int]
) -> None:
    """It may be the key: it is reported once, with its place but without its text."""
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    with pytest.raises(checks.StartError) as stopped:
        checks.check_settings()
    expected = "cannot be read: expected NAME=value, with quotes in pairs"
    assert str(stopped.value).splitlines() == [f".env:{line}: {expected}" for line in lines]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ImaiSettings, "IMAI_API_KEY", "test-password"),
        (PanelSettings, "PANEL_STATE_URL", "redis://:test-password@127.0.0.1:6379/0"),
        (PanelSettings, "PANEL_HTTPS_PROXY", "http://panel:test-password@proxy.example:3128"),
    ],
)
def test_no_secret_is_printed(
    monkeypatch: pytest.MonkeyPatch, kind: type[PanelSettings | ProviderSettings], name: str, value: str
) -> None:
    """Neither a repr nor a dump shows it."""
    monkeypatch.setenv(name, value)
    settings: BaseSettings = kind.load()
    printed = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "test-password" not in printed


def test_the_log_level_may_be_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """`debug` is DEBUG."""
    monkeypatch.setenv("PANEL_LOG_LEVEL", "debug")
    assert PanelSettings.load().log_level == "DEBUG"


@pytest.mark.parametrize(
    "text",
    [
        "IMAI_API_KEY=test-key\r\nIMAI_TOTAL_CREDITS=10000\r\n",
        "\ufeffIMAI_API_KEY=test-key\nIMAI_TOTAL_CREDITS=10000\n",
        "export IMAI_API_KEY=test-key\nexport IMAI_TOTAL_CREDITS=10000\n",
        "IMAI_API_KEY=\"test-key\"\nIMAI_TOTAL_CREDITS='10000'\n",
        "IMAI_API_KEY =  test-key  \n IMAI_TOTAL_CREDITS = 10000 # a comment\n",
        'IMAI_API_KEY="test-key\\n"\nIMAI_TOTAL_CREDITS=10_000\n',
        "IMAI_API_KEY=test-key\nIMAI_TOTAL_CREDITS=10000.000000\n",
    ],
    ids=["CRLF", "BOM", "export", "quotes", "spaces", "line break at the end", "decimals"],
)
def test_the_usual_forms_of_a_file_are_read(tmp_path: Path, text: str) -> None:
    """Each gives the same key and the same total."""
    (tmp_path / ".env").write_bytes(text.encode())
    settings = ImaiSettings.load()
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "test-key"
    assert settings.total_credits == 10000


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("IMAI_TOTAL_CREDITS", "10,000", "write it without commas"),
        ("IMAI_TOTAL_CREDITS", "10.000", "10.000 is unclear: write 10000, or fewer decimals"),
        ("IMAI_TOTAL_CREDITS", "1.000.000", "1.000.000 is unclear: write 1000000"),
        ("IMAI_TOTAL_CREDITS", "'10000'", "Take them out"),
        ("IMAI_API_KEY", '"test-key"', "Take them out"),
        ("IMAI_API_KEY", "test key", "holds a space"),
        ("IMAI_API_BASE_URL", "http://imai.co/api", "must begin with https://"),
        ("IMAI_API_BASE_URL", "imai.co/api", "URL"),
        ("IMAI_API_BASE_URL", "http://[::1]evil.test:80/x", "not a URL"),
        ("IMAI_API_BASE_URL", "https://[::1].evil.test", "not a URL"),
        ("IMAI_API_BASE_URL", "http://[::1]:8501x", "not a URL"),
    ],
)
def test_the_error_about_a_mistake_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    """One line names the variable, but no key."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        ImaiSettings.load()
    line = str(caught.value)
    assert line.startswith(f"{name}: ")
    assert expected in line
    assert "\n" not in line
    assert "test-key" not in line


@pytest.mark.parametrize("quote", ["'", '"', ""])
def test_a_dollar_in_the_env_file_is_only_a_dollar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    """Keys and passwords arrive unchanged: `${HOME}` is not replaced."""
    key = "tok${HOME}en"
    proxy, state = f"http://panel:{key}@proxy.example:3128", f"redis://:{key}@127.0.0.1:1"
    written = {"IMAI_API_KEY": key, "PANEL_HTTPS_PROXY": proxy, "PANEL_STATE_URL": state}
    monkeypatch.delenv("PANEL_STATE_URL")
    lines = [f"{name}={quote}{value}{quote}\n" for name, value in written.items()]
    (tmp_path / ".env").write_text("".join(lines), encoding="utf-8")
    settings = PanelSettings.load()
    assert ImaiSettings.load().api_key == SecretStr(key)
    assert (settings.https_proxy, settings.state_url) == (SecretStr(proxy), SecretStr(state))
    assert env_file.values() == written


@pytest.mark.parametrize("url", ["https://imai.co/api", "https://imai.co/api/", " https://imai.co/api// "])
def test_a_base_url_may_end_with_slashes(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """They are removed: paths are added to it."""
    monkeypatch.setenv("IMAI_API_BASE_URL", url)
    assert ImaiSettings.load().api_base_url == "https://imai.co/api"


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path has no folder named `~`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PANEL_AUTH_FILE", "~/auth.yaml")
    assert PanelSettings.load().auth_file == tmp_path / "auth.yaml"


def test_another_env_file_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--env-file` replaces `.env`; a missing file is an error."""
    monkeypatch.setenv(env_file.VARIABLE, "")  # so that it is restored after the test
    (tmp_path / ".env").write_text("IMAI_TOTAL_CREDITS=1\n", encoding="utf-8")
    other = tmp_path / "other.env"
    other.write_text("IMAI_TOTAL_CREDITS=2\nIMAI_RENEWAL_DAY=32\n", encoding="utf-8")
    absent = CliRunner().invoke(main, ["--env-file", str(tmp_path / "absent"), "usage"])
    assert (absent.exit_code, "does not exist" in absent.output) == (2, True)
    wrong = CliRunner().invoke(main, ["--env-file", str(other), "usage"])
    assert wrong.output.startswith("Error: IMAI_RENEWAL_DAY: ")
    other.write_text("IMAI_TOTAL_CREDITS=2\n", encoding="utf-8")
    assert ImaiSettings.load().total_credits == 2


def test_a_pipe_of_the_shell_is_no_env_file() -> None:
    """It would be empty at the second reading: one line, exit 2, and nothing is read."""
    reading, writing = os.pipe()
    os.write(writing, b"PANEL_PORT=1\n")
    refused = CliRunner().invoke(main, ["--env-file", f"/dev/fd/{reading}", "usage"])
    assert refused.exit_code == 2
    assert f"/dev/fd/{reading} can be read once" in refused.stderr
    os.close(reading)
    os.close(writing)


def test_a_named_pipe_may_be_the_env_file(tmp_path: Path) -> None:
    """Some password managers provide the file as one, again for each reader."""
    os.mkfifo(tmp_path / ".env")
    assert checks.settings_source() == f"Settings from the environment, then from {tmp_path}/.env"
