"""`integrations serve`, as a process where it serves and in this one where it does not start."""

import asyncio
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from integrations import command
from integrations.cli.main import main
from integrations.cli.serve import _listen
from tests.conftest import PASSWORD, AddUser
from tests.support.certificate import self_signed
from tests.support.processes import COMMAND, clean_environment
from tests.support.terminal import at_a_terminal


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def serve(*arguments: str) -> Result:
    """The command in this process, where it does not get as far as serving."""
    return CliRunner().invoke(main, ["serve", *arguments])


@contextmanager
def serving(
    folder: Path, *arguments: str, before: tuple[str, ...] = ()
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The command as a process in this folder, and its log; killed at the end if it is still there.

    Args:
        folder: where it runs.
        arguments: of `serve`.
        before: what stands before `serve`.
    """
    log = folder / "serve.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "integrations.cli", *before, "serve", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=output,
        )
        try:
            yield running, log
        finally:
            running.kill()
            running.wait()


def wait_for(log: Path, pattern: str) -> "re.Match[str]":
    """What the log says, once it does."""
    end = time.monotonic() + 30
    while not (found := re.search(pattern, log.read_text())):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    return found


def test_the_start_says_where_it_serves_and_ends_with_the_command_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without users its last line has a command that makes the first, as it stands there."""
    monkeypatch.delenv("PANEL_AUTH_FILE")
    with serving(tmp_path, "--port", "0") as (_, log):
        hint = wait_for(log, r"Make the first user: (.+)\n")[1]
        first, second, third = log.read_text().splitlines()
    assert re.search(r" INFO integrations: Serving on http://127\.0\.0\.1:\d+$", first)
    assert f"there is no {tmp_path}/.env; users from {tmp_path}/.streamlit/auth.yaml" in second
    assert f"ERROR integrations: Nobody can sign in yet: {tmp_path}/.streamlit/auth.yaml: " in third
    typed = [*shlex.split(hint.replace("NAME", "alice")), "--password-stdin"]
    added = subprocess.run(typed, cwd=tmp_path, input=PASSWORD, capture_output=True, text=True, check=False)
    assert (added.returncode, added.stdout) == (0, f"Added alice to {tmp_path}/.streamlit/auth.yaml.\n")
    assert (tmp_path / ".streamlit" / "auth.yaml").is_file()


def test_the_command_that_helps_reads_the_settings_that_the_panel_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another file of settings it makes the user in that one's store, from whatever folder."""
    monkeypatch.delenv("PANEL_AUTH_FILE")
    elsewhere, settings = tmp_path / "else where", tmp_path / "the env"
    elsewhere.mkdir()
    settings.write_text(f"PANEL_AUTH_FILE={tmp_path}/srv/auth.yaml\n", encoding="utf-8")
    (tmp_path / "srv").mkdir()
    with serving(tmp_path, "--port", "0", before=("--env-file", "the env")) as (_, log):
        hint = wait_for(log, r"Make the first user: (.+)\n")[1]
    typed = [*shlex.split(hint.replace("NAME", "alice")), "--password-stdin"]
    added = subprocess.run(typed, cwd=elsewhere, input=PASSWORD, capture_output=True, text=True, check=False)
    assert (added.returncode, added.stdout) == (0, f"Added alice to {tmp_path}/srv/auth.yaml.\n"), (
        added.stderr
    )


def test_small_messages_are_sent_at_once() -> None:
    """A connection does not wait for the acknowledgement of one message before it sends the next."""

    async def no_delay() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with _listen("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(look, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await accepted

    with ThreadPoolExecutor() as pool:  # in a thread of its own: Playwright keeps a loop in the main one
        assert pool.submit(asyncio.run, no_delay()).result()


def test_a_port_in_use_is_one_line(taken: int) -> None:
    """It names the port and what to write; nothing is served."""
    result = serve("--port", str(taken))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: Cannot listen on 127.0.0.1, port {taken}: Address already in use. "
        "Choose another with --port (or PANEL_PORT) and --host (or PANEL_HOST).\n"
    )


def test_host_and_port_may_be_settings(taken: int, tmp_path: Path) -> None:
    """From `.env`, too; an option goes first."""
    (tmp_path / ".env").write_text(f"PANEL_PORT={taken}\nPANEL_HOST=127.0.0.1\n", encoding="utf-8")
    assert f"Cannot listen on 127.0.0.1, port {taken}: " in serve().stderr
    assert "Cannot listen on 192.0.2.1, port " in serve("--host", "192.0.2.1").stderr


@pytest.mark.parametrize("host", ["no host", "ü..b", "[::1]", "http://127.0.0.1", "127.0.0.1:80"])
def test_a_host_that_nobody_knows_is_one_line(host: str) -> None:
    """With a reason in words; no traceback of the resolver, nor its number."""
    result = serve("--host", host)
    assert (result.exit_code, result.stdout) == (1, "")
    said = re.fullmatch(
        rf"Error: Cannot listen on {re.escape(host)}, port 8501: (.+)\. Choose .+\n", result.stderr
    )
    assert said
    assert "rror" not in said[1]


def test_a_certificate_without_its_key_is_one_line(tmp_path: Path) -> None:
    """Told before anything is loaded, with the option that is missing; a file with both needs no second."""
    both = self_signed(tmp_path)
    alone = tmp_path / "alone.pem"
    alone.write_text(
        both.read_text().partition("-----BEGIN CERTIFICATE")[2].join(["-----BEGIN CERTIFICATE", ""])
    )
    result = serve("--ssl-certfile", str(alone))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: --ssl-certfile {alone}: certificate and key cannot be used (no PEM certificate and key in it). "
        "Give its key with --ssl-keyfile.\n"
    )
    assert (
        serve("--ssl-keyfile", str(both)).stderr == "Error: --ssl-keyfile needs --ssl-certfile beside it.\n"
    )
    assert "Cannot listen" in serve("--ssl-certfile", str(both), "--host", "192.0.2.1").stderr


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(tmp_path: Path) -> None:
    """One line with the cure, though a terminal is there to ask; in a file of its own or beside the certificate."""
    both = self_signed(tmp_path)
    key = serialization.load_pem_private_key(both.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"test-password-not-secret")
    encrypted = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    certificate = both.read_bytes().partition(b"-----BEGIN CERTIFICATE")[2]
    both.write_bytes(encrypted + b"-----BEGIN CERTIFICATE" + certificate)
    (tmp_path / "key.pem").write_bytes(encrypted)
    own = clean_environment({"PANEL_STATE_URL": "memory://"})
    for options in ([], ["--ssl-keyfile", str(tmp_path / "key.pem")]):
        command = [*COMMAND, "serve", "--port", "0", "--ssl-certfile", str(both), *options]
        with at_a_terminal(command, tmp_path / "serve.log", own) as (running, _):
            assert running.running.wait(timeout=15) == 1
            assert running.log == (
                f"Error: --ssl-certfile {both}: certificate and key cannot be used (the key is encrypted). "
                "Take its password off: openssl pkey -in KEY -out PLAIN_KEY, then chmod 600 PLAIN_KEY.\n"
            )


@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_a_store_for_everybody_stops_the_start(add_user: AddUser, tmp_path: Path, mode: int) -> None:
    """Exit 1 and a line with the cure."""
    add_user("alice", roles=["admin"])
    (tmp_path / "auth.yaml").chmod(mode)
    result = serve()
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"Run: chmod 600 {tmp_path / 'auth.yaml'}" in result.stderr


def test_plain_http_for_other_machines_is_warned_of(tmp_path: Path, add_user: AddUser) -> None:
    """Browsers there keep no Secure cookie; the line names both ways out."""
    add_user("alice", roles=["admin"])
    with serving(tmp_path, "--host", "0.0.0.0", "--port", "0") as (_, log):  # noqa: S104 - what it warns of
        line = wait_for(log, r"WARNING integrations: (Without HTTPS.+)\n")[1]
    assert "--ssl-certfile" in line
    assert "PANEL_COOKIE_SECURE=false" in line


def test_the_command_is_named_as_it_can_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its word on the PATH, by its path below the working directory, by its whole path, or by its module."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "integrations").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", os.defpath)
    assert command.name() == ".venv/bin/integrations"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command.name() == str(folder / "integrations")
    monkeypatch.setenv("PATH", str(folder))
    assert command.name() == "integrations"
    (folder / "integrations").unlink()
    assert command.name() == f"{folder / 'python'} -m integrations.cli"
