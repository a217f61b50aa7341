"""What can happen to Redis, shown on a real one."""

import logging
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import limits
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from limits.strategies import MovingWindowRateLimiter

from integrations.state import PREFIX, StateError
from integrations.state import redis as engine
from tests.state.conftest import Open, error
from tests.state.redis_server import RedisServer
from tests.support.processes import clean_environment, free_port, wait_for
from tests.support.terminal import at_a_terminal


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop and start."""
    with RedisServer(tmp_path) as server:
        yield server


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of the state."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("integrations.state")]


def test_a_redis_that_is_down_says_so_at_once(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
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
    assert [line.partition(":")[2].partition(" fails")[0] for line in lines(caplog)] == [
        " reading",
        " writing",
        " locking",
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
    own_redis.stop()
    error(state)
    own_redis.start()
    assert state.get("a") is None
    assert [line.partition(": 127")[0] for line in lines(caplog)] == [
        "State: reading fails",
        "State: reading works again",
    ] * 2


def test_a_connection_that_redis_closed_is_opened_anew(
    opened: Open, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody notices: neither a caller nor the log."""
    state = opened(redis_server.url)
    state.put("a", "text", 60)
    with redis_server.client() as client:
        client.client_kill_filter(skipme=True)
    assert state.get("a") == "text"
    assert lines(caplog) == []


def test_a_full_redis_can_be_read_and_goes_on_by_itself(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With `maxmemory-policy noeviction` writing fails, reading and removing do not."""
    with RedisServer(tmp_path, "--maxmemory-policy", "noeviction") as server:
        state = opened(server.url)
        state.put("a", "text", 60)
        with server.client() as client:
            client.set("much", "x" * 2_000_000)
            client.config_set("maxmemory", "2mb")
        with pytest.raises(StateError, match=f"127.0.0.1:{server.port}: out of memory. Raise its maxmemory"):
            state.put("b", "x" * 200_000, 60)
        guesses = MovingWindowRateLimiter(state.attempts())
        with pytest.raises(StateError, match="out of memory"):
            guesses.hit(limits.parse("5 per 15 minutes"), "alice")
        with pytest.raises(StateError, match="out of memory"), state.lock("a", wait=0):
            pass
        with pytest.raises(StateError, match="out of memory"):
            state.check()
        assert state.take("a") == "text"
        with server.client() as client:
            client.config_set("maxmemory", "100mb")
        state.put("a", "text", 60)
    assert [line.partition(": 127")[0] for line in lines(caplog)] == [
        "State: writing fails",
        "State: locking fails",
        "State: writing works again",
    ]


def test_passwords(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The right one works, by itself or with a user's name, and with %XX; a wrong or missing one is said to be."""
    acl = ("--user", "panel", "on", ">test/pass#word", "~*", "+@all")
    with RedisServer(tmp_path, "--requirepass", "test-password", *acl) as server:
        place = f"127.0.0.1:{server.port}"
        opened(f"redis://:test-password@{place}").check()
        opened(f"redis://panel:test%2Fpass%23word@{place}/0").check()
        for wrong in (
            f"redis://:test-wrong@{place}",
            f"redis://panel:test-wrong@{place}",
            f"redis://{place}",
        ):
            text = error(opened(wrong))
            assert text == f"{place}: user name or password is wrong. Mend PANEL_STATE_URL"
    assert "test-" not in caplog.text


def test_a_user_with_too_few_rights_is_told_which(opened: Open, tmp_path: Path) -> None:
    """And nothing of what was to be written."""
    acl = ("--user", "panel", "on", ">test-password", "~*", "+@all", "-set")
    with RedisServer(tmp_path, *acl) as server:
        state = opened(f"redis://panel:test-password@127.0.0.1:{server.port}")
        with pytest.raises(StateError) as caught:
            state.put("a", "a record", 60)
    assert "'set' command" in str(caught.value)
    assert "a record" not in str(caught.value)


def test_an_old_redis_is_told_by_its_missing_command(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start, and by `/ready`: a check tries the command that came last."""
    with RedisServer(tmp_path, "--rename-command", "GETDEL", "") as server:
        state = opened(server.url)
        with pytest.raises(StateError) as caught:
            state.check()
    said = f"127.0.0.1:{server.port}: unknown command 'GETDEL'"
    assert str(caught.value) == said
    assert lines(caplog) == [f"State: removing fails: {said}"]


def test_a_missing_command_is_told_without_what_it_was_given(opened: Open, tmp_path: Path) -> None:
    """Its arguments hold records."""
    with RedisServer(tmp_path, "--rename-command", "SET", "") as server:
        state = opened(server.url)
        with pytest.raises(StateError) as caught:
            state.put("a", "a record", 60)
    assert str(caught.value) == f"127.0.0.1:{server.port}: unknown command 'SET'"


def test_what_others_wrote_is_no_crash(opened: Open, redis_server: RedisServer) -> None:
    """Bytes that are no text come as some text, which is no record; another type is an error that says so."""
    state = opened(redis_server.url)
    with redis_server.client() as client:
        client.set(f"{PREFIX}bytes", b"\xff\xfe")
        client.lpush(f"{PREFIX}a", "x")
    assert state.get("bytes") == "\ufffd\ufffd"
    assert "wrong kind of value" in error(state)


def test_records_end_without_the_panel(opened: Open, redis_server: RedisServer) -> None:
    """Everything has an end in Redis itself, so that nothing stays for ever."""
    state = opened(redis_server.url)
    state.put("a", "text", 60)
    state.replace("a", "other")
    state.check()
    MovingWindowRateLimiter(state.attempts()).hit(limits.parse("5 per 15 minutes"), "alice")
    with state.lock("a", wait=0), redis_server.client() as client:
        ends = {key: client.ttl(key) for key in client.scan_iter()}
    assert all(str(key).startswith(PREFIX) and 0 <= int(str(end)) <= 900 for key, end in ends.items())
    assert len(ends) >= 3


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
    wait_for(
        lambda: not [one for one in threading.enumerate() if one.name == "renew a"], "the end of renewing"
    )


def test_a_lock_that_was_lost_is_not_taken_from_the_next_holder(
    opened: Open, redis_server: RedisServer
) -> None:
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


def test_redis_may_go_while_a_lock_is_held(opened: Open, own_redis: RedisServer) -> None:
    """What was done under the lock is done; nobody hears of it."""
    state = opened(own_redis.url)
    with state.lock("a", wait=0) as got:
        own_redis.stop()
    assert got


def test_the_options_of_a_url_reach_redis(opened: Open, redis_server: RedisServer) -> None:
    """A database of its own, and a name by which an administrator knows the panel's connections."""
    options = "db=2&protocol=3&client_name=panel-1&health_check_interval=1"
    state = opened(f"{redis_server.url}?{options}")
    state.put("a", "text", 60)
    assert (state.get("a"), opened(redis_server.url).get("a")) == ("text", None)
    assert opened(f"{redis_server.url}/2").items("") == {"a": "text"}
    with redis_server.client() as client:
        assert "panel-1" in [one["name"] for one in client.client_list()]


def test_a_unix_socket(opened: Open) -> None:
    """With a database of its own."""
    with tempfile.TemporaryDirectory() as folder:  # short: a socket's path has 107 bytes at the most
        path = f"{folder}/redis.sock"
        with RedisServer(Path(folder), "--unixsocket", path):
            state = opened(f"unix://{path}?db=1")
            state.put("a", "text", 60)
            assert state.get("a") == "text"
            assert opened(f"unix://{path}").get("a") is None
        assert path in error(state)


def make_certificate(folder: Path) -> Path:
    """A certificate for this host that vouches for itself, and its key, also encrypted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    for file, encryption in (
        ("key.pem", serialization.NoEncryption()),
        ("encrypted.pem", serialization.BestAvailableEncryption(b"test-password")),
    ):
        (folder / file).write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "ca.pem"


def test_tls(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the authority that the URL names; without it, or with a file that is not there, one clear line."""
    authority, port = make_certificate(tmp_path), free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(authority), "--tls-key-file")
    with RedisServer(tmp_path, *options, str(tmp_path / "key.pem"), "--tls-auth-clients", "no"):
        url = f"rediss://127.0.0.1:{port}/0"
        state = opened(f"{url}?ssl_ca_certs={authority}")
        state.put("a", "text", 60)
        assert state.get("a") == "text"
        assert "certificate verify failed" in error(opened(url))
        assert "No such file" in error(opened(f"{url}?ssl_ca_certs={tmp_path}/missing.pem"))
    assert all(record.levelno == logging.ERROR for record in caplog.records if "state" in record.name)


READ: Final = """
import sys
from integrations.state import StateError, open_state
try:
    open_state(sys.argv[1]).get("a")
except StateError as error:
    print("It says:", error)
"""


def test_an_encrypted_key_is_said_to_be(opened: Open, tmp_path: Path) -> None:
    """Nothing waits at the terminal for its password, which belongs into the URL."""
    authority, port = make_certificate(tmp_path), free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(authority), "--tls-key-file")
    with RedisServer(tmp_path, *options, str(tmp_path / "key.pem"), "--tls-ca-cert-file", str(authority)):
        own = f"ssl_certfile={authority}&ssl_keyfile={tmp_path}/encrypted.pem"
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority}&{own}"
        assert opened(f"{url}&ssl_password=test-password").get("a") is None
        command = [sys.executable, "-c", READ, url]
        with at_a_terminal(command, tmp_path / "log", clean_environment({})) as (running, _):
            wait_for(lambda: "It says:" in running.log, "what it says")
        said = (
            f"127.0.0.1:{port}: the key of ssl_certfile is encrypted. Add its ssl_password to PANEL_STATE_URL"
        )
        assert f"It says: {said}\n" in running.log
