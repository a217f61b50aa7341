"""docs/troubleshooting.md: each mistake is made, and the panel shows the message of the table."""

import errno
import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from integrations import checks
from integrations.access import auth
from integrations.cli import serve as serve_module
from integrations.cli.main import main
from integrations.demo.server import Simulator
from integrations.readings import fetch
from integrations.settings import panel_settings
from tests.access.test_credentials import as_nobody_special
from tests.conftest import PASSWORD, AddUser
from tests.support.certificate import self_signed

ROOT = Path(__file__).parents[1]
TABLE = re.findall(
    r"^\| (.+?) \| `(.+?)` \| .+ \|$",
    (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


class Place:
    """A folder with a panel to make mistakes in, and the messages that follow."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.folder = folder
        self.store = folder / "auth.yaml"
        self.monkeypatch = monkeypatch
        self.log = caplog

    def run(self, *arguments: str, **variables: str) -> str:
        """Run a command with these variables; return its output."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, arguments, input=f"{PASSWORD}\n").output

    def start(self) -> str:
        """Prepare the panel; return the log."""
        self.monkeypatch.setattr(
            checks, "prepare_log", lambda _: None
        )  # it would take the log away from caplog
        checks.prepare()
        return self.log.text

    def with_store(self, text: str, mode: int = 0o600) -> str:
        """Write a store; return the output of `check`."""
        self.store.write_text(text, encoding="utf-8")
        self.store.chmod(mode)
        return self.run("check", "--offline")

    def add_user(self) -> str:
        """Run `users add`; return its output."""
        return self.run("users", "add", "bob", "--role", "admin", "--password-stdin")


def _misspelt(place: Place) -> str:
    place.monkeypatch.setenv("IMAI_TOTAL_CREDIT", "10000")
    return place.start()


def _latin_1(place: Place) -> str:
    (place.folder / ".env").write_bytes("IMAI_API_KEY=schlüssel".encode("latin-1"))
    return place.run("usage")


def _unreadable_line(place: Place) -> str:
    (place.folder / ".env").write_text("IMAI_TOTAL_CREDITS=1\nIMAI_API_KEY: test-key\n")
    said = place.run("serve")
    assert said.count("\n") == 1
    return said


def _directory(place: Place) -> str:
    (place.folder / ".env").mkdir()
    return place.run("check")


def _elsewhere(place: Place) -> str:
    place.monkeypatch.delenv("PANEL_AUTH_FILE")
    return place.start()


def _without_path(place: Place) -> str:
    place.monkeypatch.setenv("IMAI_API_BASE_URL", os.environ["IMAI_API_BASE_URL"].removesuffix("/api"))
    fetch.get_imai_usage()
    return place.log.text


def _no_user(place: Place) -> str:
    place.store.unlink()
    return place.start()


def _wrong_passwords(_: Place) -> str:
    return [str(auth().sign_in("alice", "wrong-test-password")) for _ in range(6)][-1]


def _for_everybody(place: Place) -> str:
    place.store.chmod(0o644)
    return place.run("serve")


def _another_user(place: Place) -> str:
    folder = place.folder / "of-root"
    folder.mkdir(mode=0o500)
    place.monkeypatch.setenv("PANEL_AUTH_FILE", str(folder / "auth.yaml"))
    panel_settings()
    with as_nobody_special():
        return place.add_user()


def _full_disk(place: Place) -> str:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = place.store.read_bytes()
    place.monkeypatch.setattr(os, "fsync", fail)
    said = place.add_user()
    assert place.store.read_bytes() == before
    return said


def _port_in_use(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return place.run("serve", "--port", str(listener.getsockname()[1]))


def _certificate_alone(place: Place) -> str:
    both = self_signed(place.folder).read_text()
    alone = place.folder / "alone.pem"
    alone.write_text(both[both.index("-----BEGIN CERTIFICATE") :])
    return place.run("serve", "--ssl-certfile", str(alone))


def _plain_http(place: Place) -> str:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - the mistake
        serve_module._announce(listener, "", encrypted=False)
    return place.log.text


def _changeable_accounts(place: Place) -> str:
    file = place.folder / "providers.yaml"
    file.touch()
    file.chmod(0o666)
    return place.run("usage", PANEL_PROVIDERS_FILE=str(file))


def _unknown_service(place: Place) -> str:
    file = place.folder / "providers.yaml"
    file.write_text("accounts:\n  - service: nobody\n", encoding="utf-8")
    return place.run("usage", PANEL_PROVIDERS_FILE=str(file))


def _old_python(place: Place) -> str:
    old = place.folder / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.10.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    run = subprocess.run(
        [ROOT / "scripts" / "build-environment", "requirements-run.lock"],
        cwd=place.folder,
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    return run.stderr


GOOD_USERS = "credentials: {usernames: {}}\n"
MISTAKES: dict[str, Callable[[Place], str]] = {
    "a total with commas": lambda place: place.run("usage", IMAI_TOTAL_CREDITS="10,000"),
    "a total with a point that may separate thousands": lambda place: place.run(
        "usage", IMAI_TOTAL_CREDITS="10.000"
    ),
    "quotes inside a value, as `docker --env-file` leaves them": lambda place: place.run(
        "usage", IMAI_API_KEY='"test-key"'
    ),
    "a key with a space or a line break inside": lambda place: place.run("usage", IMAI_API_KEY="test\nkey"),
    "a misspelt name": _misspelt,
    "`.env` saved as Latin-1": _latin_1,
    "a line of `.env` with a colon, or with one quote alone": _unreadable_line,
    "a directory called `.env`; Docker makes one if there is no file to mount": _directory,
    "another working directory": _elsewhere,
    "sign-ins listed or ended in another folder than the panel's": lambda place: place.run(
        "sessions", "end", "--all", PANEL_STATE_URL=f"sqlite:///{place.folder}/elsewhere/state.sqlite3"
    ),
    "`--env-file` with a shell's pipe": lambda place: place.run("--env-file", "/dev/fd/1", "usage"),
    "a base URL without its path": _without_path,
    "a base URL with http": lambda place: place.run("usage", IMAI_API_BASE_URL="http://imai.co/api"),
    "a wrong key": lambda place: place.run("check", IMAI_API_KEY="another-test-key"),
    "no user yet": _no_user,
    "five wrong passwords": _wrong_passwords,
    "a store that others may read": _for_everybody,
    "a store with tabs": lambda place: place.with_store("roles:\n\tadmin: []\n"),
    "a star without quotes in the store": lambda place: place.with_store("roles:\n  admin: [*]\n"),
    "streamlit-authenticator's own file as the store": lambda place: place.with_store(
        f"cookie: {{key: test-cookie-key}}\n{GOOD_USERS}"
    ),
    "a command run as another user": _another_user,
    "a full disk": _full_disk,
    "a port in use": _port_in_use,
    "a scheme, a port or brackets in `PANEL_HOST` or `--host`": lambda place: place.run(
        "serve", "--host", "http://0.0.0.0"
    ),
    "a certificate without its key": _certificate_alone,
    "plain HTTP from another machine": _plain_http,
    "a providers' file that others may change": _changeable_accounts,
    "a providers' file with an unknown service": _unknown_service,
    "an old Python": _old_python,
}


def test_every_row_is_tried() -> None:
    """The table has the mistakes of this file, in their order, and no others."""
    assert [mistake for mistake, _ in TABLE] == list(MISTAKES)


@pytest.fixture
def place(
    add_user: AddUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Place:
    """A panel without a mistake yet."""
    add_user("alice", roles=["admin"])
    return Place(tmp_path, monkeypatch, caplog)


@pytest.mark.parametrize(("mistake", "documented"), TABLE)
def test_a_mistake_gives_the_message_of_the_table(
    mistake: str, documented: str, place: Place, imai: Simulator
) -> None:
    """The message is one line, without a traceback and without a secret."""
    said = MISTAKES[mistake](place)
    pattern = ".+".join(map(re.escape, documented.split("…")))
    assert re.search(pattern, said), said
    assert "Traceback" not in said
    for secret in ("test-key", "test\nkey", "another-test-key", "test-cookie-key", PASSWORD, imai.key):
        assert secret not in said
