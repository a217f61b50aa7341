"""`integrations sessions …`."""

from pathlib import Path

import pytest
import time_machine
from click.testing import CliRunner, Result

from integrations.access import Denial, Principal, auth
from integrations.cli.main import main
from tests.conftest import PASSWORD, AddUser

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def _panel(add_user: AddUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    add_user("alice", roles=["admin"])
    add_user("bo", roles=["viewer"])


def sessions(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["sessions", *arguments])


def signed_in(name: str) -> str:
    """Sign a user in; return the session id of the browser."""
    session_id = auth().redeem(str(auth().sign_in(name, PASSWORD)))
    assert session_id is not None
    return session_id


def test_list_shows_names_and_times_and_no_secret() -> None:
    """The oldest is first; there is no id and no digest."""
    with time_machine.travel(NOW, tick=False) as clock:
        alice = signed_in("alice")
        clock.shift(600)
        signed_in("bo")
        clock.shift(600)
        auth().authenticate(alice, touch=True)
        assert sessions("list").stdout == (
            "alice  since 2027-01-15 08:00 UTC  last used 2027-01-15 08:20 UTC\n"
            "bo     since 2027-01-15 08:10 UTC  last used 2027-01-15 08:10 UTC\n"
        )
        clock.shift(3600)
        assert sessions("list").stdout == ""


def test_end_ends_the_sign_ins_of_a_user_or_all() -> None:
    """They end at the next click, and the command prints how many."""
    alice, again, bo = signed_in("alice"), signed_in("alice"), signed_in("bo")
    assert sessions("end", "--user", " ALICE").stdout == "Ended 2 sign-ins.\n"
    assert auth().authenticate(alice) is Denial.SIGNED_OUT
    assert auth().authenticate(again) is Denial.SIGNED_OUT
    assert isinstance(auth().authenticate(bo), Principal)
    assert sessions("end", "--all").stdout == "Ended 1 sign-in.\n"
    assert auth().authenticate(bo) is Denial.SIGNED_OUT
    assert sessions("end", "--user", "nobody").stdout == "Ended 0 sign-ins.\n"


def test_each_ended_sign_in_is_in_the_audit_log() -> None:
    """Each has its line on standard error, with the name, the reason and the time of sign-in."""
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(12):
            signed_in("alice")
            clock.shift(1)
        signed_in("bo")
        done = sessions("end", "--user", "alice")
        assert done.stdout == "Ended 12 sign-ins.\n"
        lines = sorted(line.partition(" integrations.audit: ")[2] for line in done.stderr.splitlines())
        assert lines[0] == (
            "session ended: user='alice' by the command, signed in at 2027-01-15T08:00:00.000+00:00"
        )
        assert len(set(lines)) == 12
        (line,) = sessions("end", "--all").stderr.splitlines()
        assert "user='bo' by the command" in line


@pytest.mark.parametrize("arguments", [(), ("--all", "--user", "alice")])
def test_end_needs_a_user_or_all(arguments: tuple[str, ...]) -> None:
    """Without exactly one of the two options nothing ends."""
    alice = signed_in("alice")
    ended = sessions("end", *arguments)
    assert ended.exit_code == 2
    assert "Say --user NAME or --all." in ended.stderr
    assert isinstance(auth().authenticate(alice), Principal)


def test_an_unusable_state_is_one_line(tmp_path: Path) -> None:
    """The exit code is 1."""
    signed_in("alice")
    (tmp_path / "state.sqlite3").chmod(0o644)
    for arguments in (("list",), ("end", "--all")):
        failed = sessions(*arguments)
        assert failed.exit_code == 1
        assert failed.stderr.splitlines()[-1].startswith(
            f"Error: {tmp_path}/state.sqlite3: others may access it"
        )


def test_with_memory_only_the_help_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list would look like nobody is signed in."""
    monkeypatch.setenv("PANEL_STATE_URL", "memory://")
    failed = sessions("list")
    assert failed.exit_code == 1
    assert "only the panel itself knows" in failed.stderr
    shown = sessions("list", "--help")
    assert (shown.exit_code, "since when" in shown.stdout) == (0, True)


@pytest.mark.parametrize("arguments", [("list",), ("end", "--all")])
def test_in_another_folder_than_the_panels_the_command_fails_and_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """It ends no sign-in of the panel, so it must not look like a success."""
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/elsewhere.sqlite3")
    failed = sessions(*arguments)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.startswith(
        f"Error: PANEL_STATE_URL: {tmp_path}/elsewhere.sqlite3: there is no such file."
    )
    assert not (tmp_path / "elsewhere.sqlite3").exists()
