"""`PANEL_STATE_URL`: its forms, and the errors about it."""

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from integrations import state as states
from integrations.quota.errors import SettingsError
from integrations.state import StateError, open_state
from tests.state.conftest import Open, error


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    """As in SQLAlchemy; a later change of the folder changes nothing, and `~` is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    urls = ("sqlite:///sub/a b%.db", f"sqlite:///{tmp_path}/b.db", "sqlite:///~/c.db")
    engines = [opened(url) for url in urls]
    monkeypatch.chdir("/")
    for engine in engines:
        engine.check()
    assert (tmp_path / "sub" / "a b%.db").is_file()
    assert (tmp_path / "b.db").is_file()
    assert (tmp_path / "c.db").is_file()
    with pytest.raises(SettingsError, match="no home folder"):
        open_state("sqlite:///~nobody-of-this-name/b.db")


def test_opening_touches_nothing(tmp_path: Path) -> None:
    """Neither a file nor a server: commands that need no state may read the settings."""
    open_state(f"sqlite:///{tmp_path}/a.db")
    open_state("redis://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        *("", "memory", "memory://x", "sqlite://", "sqlite:///", "sqlite:///folder/", "sqlite:///:memory:"),
        *("sqlite://secret/file", "sqlite:///file?mode=secret", "sqlite:///sec\0ret", "/secret/file.sqlite3"),
        *("postgresql://user:secret@host/base", "REDIS://:secret@host", "redis:/secret"),
        # A character that must be written as %XX ends the password.
        *("redis://:sec#ret@host", "redis://:sec/ret@host", "redis://:sec?ret@host"),
        *("redis://:123#secret@127.0.0.1", "redis://:123?secret@127.0.0.1", "redis://:123/secret@127.0.0.1"),
        *("redis://user:123?secret@127.0.0.1", "redis://secret:123/0?db=1@127.0.0.1"),
        *(
            "redis://127.0.0.1:6379/0#secret",
            "unix://:aa/secret@/run/x.sock",
            "unix://:aa?secret@/run/x.sock",
        ),
        *("unix://:aa#secret@/run/x.sock", "unix://user:secret@host/run/x.sock", "unix://secret/run/x.sock"),
        # There is no place, or no database.
        *("redis://", "redis:///0", "redis://:secret@", "redis://:secret@:6379", "unix://:secret@"),
        *("redis://:secret@host:port", "redis://:secret@host:70000", "redis://:secret@[host"),
        *("redis://:secret@host/base", "redis://:sec\udcffret@host"),
        "redis://:secret@host/0?secret=1",
    ],
)
def test_a_wrong_url_is_one_line_without_the_url(url: str) -> None:
    """It names the variable and the forms that are possible; a password in the URL is not in it."""
    with pytest.raises(SettingsError) as caught:
        open_state(url)
    text = str(caught.value)
    assert text.startswith("PANEL_STATE_URL: not the place of a state. Expected: sqlite:///")
    assert "\n" not in text
    assert "sec" not in text
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    [
        *("redis://:secret@redis..example.com", "redis://:secret@host%00name"),
        *("unix://:secret@/run/%00", "rediss://:secret@127.0.0.1:1/0?ssl_check_hostname=perhaps"),
        *(
            "rediss://:secret@127.0.0.1:1/0?ssl_cert_reqs=requird",
            "redis://:secret@127.0.0.1:1/0?timeout=secret",
        ),
        *(
            "redis://:secret@127.0.0.1:1/0?socket_read_size=secret",
            "redis://:secret@127.0.0.1:1/0?encoding=secret",
        ),
        *(
            "redis://:secret@127.0.0.1:1/0?redis_connect_func=secret",
            "redis://:secret@127.0.0.1:1/0?cache=secret",
        ),
        "redis://:secret@127.0.0.1:1/0?credential_provider=secret",
    ],
)
def test_an_unusable_option_is_reported_at_the_first_connection_at_the_latest(url: str, opened: Open) -> None:
    """As an outage or as a wrong setting, but never as a crash, and without the URL."""
    with pytest.raises((StateError, SettingsError)) as caught:
        opened(url).check()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://user:secret@127.0.0.1:1/0", "unix://user:secret@/nowhere.sock?db=1"]
)
def test_a_password_is_in_no_text(url: str, caplog: pytest.LogCaptureFixture, opened: Open) -> None:
    """Not in a repr, an error or the log."""
    state = opened(url)
    assert "secret" not in f"{state!r} {state} {vars(state)} {error(state)} {caplog.text}"


def test_without_its_library_redis_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    for module in ("redis", "redis_connection"):
        monkeypatch.delitem(sys.modules, f"integrations.state.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError) as caught:
        open_state("redis://:secret@127.0.0.1")
    assert str(caught.value) == "PANEL_STATE_URL: redis-py is missing. Run: pip install '.[redis]'"


@pytest.mark.parametrize("named", ["", "sqlite:///.streamlit/state.sqlite3"])
def test_the_default_folder_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str) -> None:
    """The first start needs nothing, with a copy of .env.example or without."""
    monkeypatch.delenv("PANEL_STATE_URL")
    if named:
        monkeypatch.setenv("PANEL_STATE_URL", named)
    states.state().check()
    assert (tmp_path / ".streamlit" / "state.sqlite3").is_file()
