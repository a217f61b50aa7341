"""What can happen to Redis, shown on a real one."""

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import serialization

from integrations.state import StateError, UnusableStateError
from integrations.state import redis as engine
from integrations.state.base import PREFIX
from tests.state.conftest import Open, error, lines
from tests.state.redis_server import RedisServer
from tests.support.certificate import self_signed
from tests.support.processes import clean_environment, free_port, wait_for
from tests.support.terminal import at_a_terminal


def test_a_redis_that_is_down_fails_at_once(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Every call fails within milliseconds; the log has one line for each kind of call."""
    port = free_port()
    state = opened(f"redis://:test-password@127.0.0.1:{port}")
    begun = time.monotonic()
    for _ in range(3):
        text = error(state)
        with pytest.raises(StateError):
            state.check()
        with pytest.raises(StateError), state.lock("a", wait=5):
            pass
    assert time.monotonic() - begun < 1
    assert f"127.0.0.1:{port}" in text
    assert "Connection refused" in text
    assert [line.removesuffix(" fails") for line in lines(caplog)] == [
        "State: reading",
        "State: writing",
        "State: locking",
    ]
    assert "test-password" not in caplog.text


def test_a_redis_that_comes_up_is_used(
    opened: Open, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Down at the start, up, gone, and back again: no restart of the panel, and two lines an outage."""
    own_redis.stop()
    state = opened(own_redis.url)
    error(state)
    own_redis.start()
    assert state.get("a") is None
    state.put("a", "text", 60)
    with state.lock("b", wait=0) as got:
        own_redis.stop()  # the lock's holder continues
    assert got
    error(state)
    own_redis.start()
    assert state.get("a") is None
    assert lines(caplog) == ["State: reading fails", "State: reading works again"] * 2


def test_a_connection_that_redis_closed_is_opened_again(
    opened: Open, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a caller nor the log notices."""
    state = opened(redis_server.url)
    state.put("a", "text", 60)
    with redis_server.client() as client:
        client.client_kill_filter(skipme=True)
    assert state.get("a") == "text"
    assert lines(caplog) == []


def test_a_full_redis_can_be_read(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With `noeviction` writing fails, reading and removing do not; with memory again, all works again."""
    with RedisServer(tmp_path, "--maxmemory-policy", "noeviction") as server:
        state = opened(server.url)
        state.put("a", "text", 60)
        state.reserve("locked", 1, 900)
        with server.client() as client:
            client.set("much", "x" * 2_000_000)
            client.config_set("maxmemory", "2mb")
        writes = [
            lambda: state.put("b", "x" * 200_000, 60),
            lambda: state.reserve("alice", 5, 900),
            state.lock("a", wait=0).__enter__,
            state.check,
        ]
        for write in writes:
            with pytest.raises(StateError, match=f"127.0.0.1:{server.port}: out of memory. Raise its maxm"):
                write()
        assert not state.reserve("locked", 1, 900)  # writes nothing, and so proves nothing
        assert state.take("a") == "text"
        assert lines(caplog) == ["State: writing fails", "State: locking fails"]
        with server.client() as client:
            client.config_set("maxmemory", "100mb")
        state.check()
    assert lines(caplog)[2:] == ["State: writing works again"]


def test_passwords(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The right one works, alone or with a user's name, and with %XX; a wrong or missing one is reported."""
    acl = ("--user", "panel", "on", ">test/pass#word", "~*", "+@all")
    with RedisServer(tmp_path, "--requirepass", "test-password", *acl) as server:
        place = f"127.0.0.1:{server.port}"
        opened(f"redis://:test-password@{place}").check()
        opened(f"redis://panel:test%2Fpass%23word@{place}/0").check()
        for wrong in ("redis://:test-wrong@", "redis://panel:test-wrong@", "redis://"):
            text = error(opened(f"{wrong}{place}"))
            assert text == f"{place}: user name or password is wrong. Mend PANEL_STATE_URL"
    assert "test-" not in caplog.text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--user", "default", "on", "nopass", "~*", "+@all", "-set"), "'set' command"),
        (("--rename-command", "SET", ""), "unknown command 'SET'"),
    ],
)
def test_a_command_that_is_refused_is_named_without_its_record(
    opened: Open, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    """To a user with too few rights, and by a Redis that lacks it."""
    with RedisServer(tmp_path, *options) as server:
        state = opened(server.url)
        with pytest.raises(StateError) as caught:
            state.put("a", "a record", 60)
    assert reason in str(caught.value)
    assert "a record" not in str(caught.value)


def test_an_old_redis_is_found_by_its_missing_command(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start, and by `/ready`: a check sends the newest command."""
    with RedisServer(tmp_path, "--rename-command", "GETDEL", "") as server:
        state = opened(server.url)
        with pytest.raises(StateError, match=f"^127.0.0.1:{server.port}: unknown command 'GETDEL'$"):
            state.check()
    assert lines(caplog) == ["State: removing fails"]


@pytest.mark.parametrize("has_slots", [False, True])
def test_a_cluster_is_refused(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, has_slots: bool
) -> None:
    """The start and `check` report it, before or after its slots are given out, and the panel does not start on it."""
    with RedisServer(tmp_path, "--cluster-enabled", "yes") as server, server.client() as client:
        if has_slots:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            wait_for(lambda: "ok" in client.execute_command("CLUSTER INFO").values(), "the cluster")
        with pytest.raises(UnusableStateError, match=f"^127.0.0.1:{server.port}: in cluster mode"):
            opened(server.url).check()
    assert lines(caplog) == []  # whoever starts the panel reports it


def test_foreign_values_are_no_crash(opened: Open, redis_server: RedisServer) -> None:
    """Bytes that are no text come as some text, which is no record; a value of another type is none."""
    state = opened(redis_server.url)
    with redis_server.client() as client:
        client.set(f"{PREFIX}bytes", b"\xff\xfe")
        client.lpush(f"{PREFIX}a", "x")
    assert state.get("bytes") == "\ufffd\ufffd"
    assert state.get("a") is None
    assert state.items("") == {"bytes": "\ufffd\ufffd"}


def test_records_expire_without_the_panel(opened: Open, redis_server: RedisServer) -> None:
    """Everything expires in Redis itself, so that nothing stays for ever."""
    state = opened(redis_server.url)
    state.put("a", "text", 60)
    state.replace("a", "other")
    state.check()
    state.reserve("alice", 5, 900)
    with state.lock("a", wait=0), redis_server.client() as client:
        ends = {str(key): int(str(client.ttl(key))) for key in client.scan_iter()}
    assert all(key.startswith(PREFIX) and 0 <= end <= 900 for key, end in ends.items())
    assert len(ends) == 3


def test_a_lock_is_held_beyond_its_lease(
    opened: Open, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder renews it while it works, and no longer."""
    monkeypatch.setattr(engine, "_LEASE_SECONDS", 0.3)
    one, other = opened(redis_server.url), opened(redis_server.url)
    with one.lock("a", wait=0), other.lock("a", wait=1) as got:
        assert not got
    with other.lock("a", wait=0) as got:
        assert got
    wait_for(lambda: "renew a" not in [one.name for one in threading.enumerate()], "the end of renewing")


def test_a_lost_lock_is_not_taken_from_the_next_holder(opened: Open, redis_server: RedisServer) -> None:
    """A holder that was stopped for longer than its lease frees nothing."""
    one, other = opened(redis_server.url), opened(redis_server.url)
    with one.lock("a", wait=0):
        with redis_server.client() as client:
            client.delete(f"{PREFIX}lock:a")
        held = other.lock("a", wait=0)
        assert held.__enter__()
    with one.lock("a", wait=0) as got:
        assert not got
    held.__exit__(None, None, None)


def test_the_options_of_a_url_reach_redis(opened: Open, redis_server: RedisServer) -> None:
    """A database of its own, and a name by which an administrator finds the panel's connections."""
    options = "db=2&protocol=3&client_name=panel-1&health_check_interval=1"
    state = opened(f"{redis_server.url}?{options}")
    state.put("a", "text", 60)
    assert (state.get("a"), opened(redis_server.url).get("a")) == ("text", None)
    assert opened(f"{redis_server.url}/2").items("") == {"a": "text"}
    with redis_server.client() as client:
        assert "panel-1" in [one["name"] for one in client.client_list()]


def test_a_unix_socket(opened: Open) -> None:
    """With a database of its own."""
    with tempfile.TemporaryDirectory() as folder:  # short: a socket's path has 107 bytes at most
        path = f"{folder}/redis.sock"
        with RedisServer(Path(folder), "--unixsocket", path):
            state = opened(f"unix://{path}?db=1")
            state.put("a", "text", 60)
            assert state.get("a") == "text"
            assert opened(f"unix://{path}").get("a") is None
        assert path in error(state)


READ: Final = """
import sys
from integrations.state import StateError, open_state
try:
    open_state(sys.argv[1]).get("a")
except StateError as error:
    print("It says:", error)
"""


def test_tls(opened: Open, tmp_path: Path) -> None:
    """It works with the authority that the URL names; without it, or with a missing file, the error says so.

    Nothing waits at the terminal for the password of an encrypted client key.
    """
    pem, port = self_signed(tmp_path), free_port()
    key = serialization.load_pem_private_key(pem.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"test-password")
    encrypted = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (tmp_path / "key.pem").write_bytes(encrypted)
    options = [option for name in ("cert", "key", "ca-cert") for option in (f"--tls-{name}-file", str(pem))]
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs="
    with RedisServer(tmp_path, "--tls-port", str(port), *options):
        state = opened(f"{url}{pem}&ssl_certfile={pem}")
        state.put("a", "text" * 10_000, 60)
        assert state.get("a") == "text" * 10_000
        assert "certificate verify failed" in error(opened(url.partition("?")[0]))
        assert "No such file" in error(opened(f"{url}{tmp_path}/missing.pem"))
        client = f"{url}{pem}&ssl_certfile={pem}&ssl_keyfile={tmp_path}/key.pem"
        assert opened(f"{client}&ssl_password=test-password").get("b") is None
        command = [sys.executable, "-c", READ, client]
        with at_a_terminal(command, tmp_path / "log", clean_environment({})) as (running, _):
            wait_for(lambda: "It says:" in running.log, "its error")
        said = "the key of ssl_certfile is encrypted. Add its ssl_password to PANEL_STATE_URL"
        assert f"It says: 127.0.0.1:{port}: {said}\n" in running.log
