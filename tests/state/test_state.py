"""`PANEL_STATE_URL`: what it may say, and what is said about it."""

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from integrations import state as states
from integrations.quota.errors import SettingsError
from integrations.state import StateError, open_state
from tests.state.conftest import Open


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    """As SQLAlchemy and others read such a URL; a later change of the folder changes nothing."""
    (tmp_path / "sub").mkdir()
    relative, absolute = opened("sqlite:///sub/a b.db"), opened(f"sqlite:///{tmp_path}/b.db")
    monkeypatch.chdir("/")
    for state in (relative, absolute):
        state.check()
    assert (tmp_path / "sub" / "a b.db").is_file()
    assert (tmp_path / "b.db").is_file()


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    """As in every other path of the settings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    opened("sqlite:///~/b.db").check()
    assert (tmp_path / "b.db").is_file()
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
        "",
        "memory",
        "memory://x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///folder/",
        "sqlite:///:memory:",
        "sqlite://secret/file",
        "sqlite:///file?mode=secret",
        "/secret/file.sqlite3",
        "postgresql://user:secret@host/base",
        "REDIS://:secret@host",
        "redis:/secret",
        "redis://:sec#ret@host",
        "redis://:sec/ret@host",
        "redis://:sec?ret@host",
        "redis://:123#secret@127.0.0.1",
        "redis://:123?secret@127.0.0.1",
        "redis://:123/secret@127.0.0.1",
        "redis://user:123?secret@127.0.0.1",
        "redis://secret:123/0?db=1@127.0.0.1",
        "redis://127.0.0.1:6379/0#secret",
        "redis://",
        "redis:///0",
        "redis://:secret@",
        "redis://:secret@:6379",
        "unix://:aa/secret@/run/x.sock",
        "unix://:aa?secret@/run/x.sock",
        "unix://:aa#secret@/run/x.sock",
        "unix://user:secret@host/run/x.sock",
        "unix://secret/run/x.sock",
        "redis://:secret@host:port",
        "redis://:secret@host:70000",
        "redis://:secret@host/base",
        "redis://:secret@host/0?secret=1",
        "redis://:secret@host/0?socket_timeout=secret",
        "redis://:secret@[host",
        "unix://:secret@",
        "sqlite:///sec\0ret",
        "redis://:secret@redis..example.com",
        "redis://:secret@redis%2e%2eexample.com",
        f"redis://:secret@{'x' * 64}.example.com",
        "redis://:secret@host%00name",
        "redis://:sec\udcffret@host",
        "unix://:secret@/run/%00",
        "rediss://:secret@host/0?ssl_cert_reqs=requird",
        "rediss://:secret@host/0?ssl_check_hostname=perhaps",
        "rediss://:secret@host/0?ssl_ca_certs=%2500",
        "rediss://:secret@host/0?ssl_min_version=TLSv1_3",
        "rediss://:secret@host/0?ssl_keyfile=/file.pem",
        f"rediss://host/0?ssl_certfile=a&ssl_keyfile=b&ssl_password={'secret' * 171}",
        "redis://:secret@host/0?ssl_ca_certs=/file.pem",
        "redis://:secret@host/0?db=1&db=2",
        "redis://:secret@host/0?db=",
        "redis://:secret@host/0?db",
        "redis://:secret@host/0?client_name=a%20b",
        *(
            f"redis://:secret@host/0?{option}"
            for option in (
                *("protocol=9", "socket_read_size=65536", "encoding=x", "socket_type=1", "timeout=1"),
                *("socket_keepalive_options=1", "command_packer=1", "event_dispatcher=1", "cache=1"),
                *("redis_connect_func=1", "maint_notifications_config=1", "credential_provider=1"),
                *("socket_connect_timeout=1", "max_connections=1", "connection_class=1", "password=1"),
            )
        ),
    ],
)
def test_a_wrong_url_is_one_line_without_the_url(url: str) -> None:
    """It names the variable and says what is expected; a password in the URL is not in it."""
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
        "redis://host",
        "redis://user:secret@[::1]:6379/2",
        "redis://host/0?client_name=panel-1&health_check_interval=30&protocol=3",
        "rediss://h%C3%B6st.example.com/0?ssl_ca_certs=/a/b.pem&ssl_cert_reqs=optional&ssl_check_hostname=False",
        "rediss://host?db=3&ssl_certfile=a&ssl_keyfile=b&ssl_password=secret&ssl_ca_path=/etc/ssl",
        "unix:///run/redis.sock?db=1",
        "unix://user:p%40ss%2F@/run/redis.sock",
    ],
)
def test_what_an_operator_needs_may_stand_in_the_url(url: str) -> None:
    """Its parts may be written as %XX."""
    open_state(url)


@pytest.mark.parametrize(
    "url", ["redis://user:secret@127.0.0.1:1/0", "unix://user:secret@/nowhere.sock?db=1"]
)
def test_a_password_is_in_no_text(url: str, caplog: pytest.LogCaptureFixture, opened: Open) -> None:
    """Not in a repr, an error or the log."""
    state = opened(url)
    with pytest.raises(StateError) as caught:
        state.get("a")
    assert "secret" not in f"{state!r} {state} {vars(state)} {caught.value!r} {caplog.text}"


def test_without_its_library_redis_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the built-in
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "integrations.state.redis", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError) as caught:
        open_state("redis://:secret@127.0.0.1")
    assert str(caught.value) == "PANEL_STATE_URL: redis-py is missing. Run: pip install '.[redis]'"


@pytest.mark.parametrize("named", [False, True])
def test_the_default_place_is_made_in_an_empty_folder(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    named: bool,  # noqa: FBT001 - pytest's way
) -> None:
    """The first start needs nothing; another place that somebody named is not made, as it may be misspelt."""
    if named:  # as in a copy of .env.example
        monkeypatch.setenv("PANEL_STATE_URL", "sqlite:///.streamlit/state.sqlite3")
    else:
        monkeypatch.delenv("PANEL_STATE_URL")
    states.state().check()
    assert (tmp_path / ".streamlit" / "state.sqlite3").is_file()
