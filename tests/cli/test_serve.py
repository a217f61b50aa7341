"""`integrations serve`: as a process if it serves, in this process if it does not start."""

import asyncio
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from integrations import command
from integrations.cli.main import main
from integrations.cli.serve import listen
from tests.conftest import PASSWORD
from tests.support.certificate import self_signed
from tests.support.processes import COMMAND, Process, clean_environment, process
from tests.support.terminal import at_a_terminal


@pytest.fixture
def taken() -> Iterator[int]:
    """Listen on a port and yield it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def serve(*arguments: str) -> Result:
    """Run the command in this process; it must fail before it serves."""
    return CliRunner().invoke(main, ["serve", *arguments])


@contextmanager
def serving(folder: Path, *arguments: str, before: tuple[str, ...] = ()) -> Iterator[Process]:
    """Run the command as a process in this folder, with the test's variables.

    Args:
        folder: its working directory.
        arguments: of `serve`.
        before: arguments before `serve`.
    """
    command = [*COMMAND, *before, "serve", *arguments]
    with process(command, folder / "serve.log", os.environ, cwd=folder) as running:
        yield running


def logged(running: Process, pattern: str) -> str:
    """Wait for this pattern in the log; return its group."""
    return running.wait_for(lambda: re.search(pattern, running.log))[1]


def test_the_start_logs_the_address_and_the_command_for_the_first_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command works as it is: it names the file of settings, and uses its store from any folder."""
    monkeypatch.delenv("PANEL_AUTH_FILE")
    elsewhere, settings, store = tmp_path / "else where", tmp_path / "the env", tmp_path / "srv" / "auth.yaml"
    elsewhere.mkdir()
    settings.touch(mode=0o600)
    settings.write_text(f"PANEL_AUTH_FILE={store}\n", encoding="utf-8")
    with serving(tmp_path, "--port", "0", before=("--env-file", "the env")) as running:
        hint = logged(running, r"Make the first user: (.+)\n")
        first, second, third = running.log.splitlines()
    assert re.search(r" INFO integrations: Serving on http://127\.0\.0\.1:\d+$", first)
    assert f"then from {settings}; users from {store}" in second
    assert f"ERROR integrations: Nobody can sign in yet: {store}: " in third
    typed = [*shlex.split(hint.replace("NAME", "alice")), "--password-stdin"]
    added = subprocess.run(typed, cwd=elsewhere, input=PASSWORD, capture_output=True, text=True, check=False)
    assert (added.returncode, added.stdout) == (0, f"Added alice to {store}.\n"), added.stderr


def test_small_messages_are_sent_at_once() -> None:
    """A connection does not wait for the acknowledgement of one message before it sends the next."""

    async def no_delay() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(look, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await accepted

    with ThreadPoolExecutor() as pool:  # in a thread of its own: Playwright keeps a loop in the main one
        assert pool.submit(asyncio.run, no_delay()).result()


def test_host_and_port_may_be_settings(taken: int, tmp_path: Path) -> None:
    """They may be in `.env`; an option overrides them."""
    (tmp_path / ".env").write_text(f"PANEL_PORT={taken}\nPANEL_HOST=127.0.0.1\n", encoding="utf-8")
    assert f"Cannot listen on 127.0.0.1, port {taken}: " in serve().stderr
    assert "Cannot listen on 192.0.2.1, port " in serve("--host", "192.0.2.1").stderr


@pytest.mark.parametrize("host", ["no host", "ü..b", "[::1]", "127.0.0.1:80"])
def test_an_unknown_host_is_one_line(host: str) -> None:
    """The reason is in words, without the resolver's traceback and number."""
    result = serve("--host", host)
    assert (result.exit_code, result.stdout) == (1, "")
    line = re.fullmatch(
        rf"Error: Cannot listen on {re.escape(host)}, port 8501: (.+)\. Choose .+\n", result.stderr
    )
    assert line
    assert "rror" not in line[1]


def test_a_certificate_without_its_key_is_one_line(tmp_path: Path) -> None:
    """The line names the missing option; a file with both needs none."""
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
    assert serve("--ssl-keyfile", str(both)).stderr == "Error: --ssl-keyfile needs --ssl-certfile.\n"
    assert "Cannot listen" in serve("--ssl-certfile", str(both), "--host", "192.0.2.1").stderr


def test_an_encrypted_key_is_refused_without_asking_for_its_password(tmp_path: Path) -> None:
    """One line has the fix, also at a terminal, and also for a key in the certificate's file."""
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


def test_hints_name_the_command_as_it_can_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints name the program if it is on the PATH, otherwise its module."""
    (tmp_path / "integrations").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.name() == "integrations"
    monkeypatch.setenv("PATH", os.defpath)
    assert command.name() == f"{shlex.quote(sys.executable)} -m integrations.cli"
