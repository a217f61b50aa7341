"""`integrations users …`."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integrations import command
from integrations.access import SignInRefused, auth, credentials, passwords
from integrations.access.passwords import check_password
from integrations.cli.main import main
from tests.conftest import HASHED, PASSWORD, AddUser

NEW = "a-new-password-for-tests"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store."""
    return tmp_path / "auth.yaml"


def users(*arguments: str, typed: str = "") -> Result:
    """Run the command with this text at its prompts or on its standard input."""
    return CliRunner().invoke(main, ["users", *arguments], input=typed)


def test_add_makes_the_store_and_a_user_who_can_sign_in(path: Path) -> None:
    """The prompt asks twice and never shows the password; only the owner may read the file."""
    done = users(
        "add", "alice", "--role", "admin", "--email", "alice@example.com", "--first-name", "Alice", "--last-name", "Ng",
        typed=f"{PASSWORD}\n{PASSWORD}\n",
    )  # fmt: skip
    assert done.exit_code == 0
    assert (
        done.output
        == f"Password (at least 12 characters): \nRepeat for confirmation: \nAdded alice to {path}.\n"
    )
    user = credentials.read(path).users["alice"]
    assert (user.email, user.first_name, user.last_name, user.roles) == (
        "alice@example.com", "Alice", "Ng", ["admin"],
    )  # fmt: skip
    assert check_password(PASSWORD, user.password)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_after_a_typing_error_the_prompt_asks_again(path: Path) -> None:
    """Two different passwords set nothing."""
    done = users("add", "alice", "--role", "admin", typed=f"{PASSWORD}\n{NEW}\n{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert check_password(PASSWORD, credentials.read(path).users["alice"].password)
    assert PASSWORD not in done.output
    assert NEW not in done.output


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_script_passes_the_password_on_standard_input(path: Path, end: str) -> None:
    """The first line is the password, without its end; there is no prompt and no echo."""
    done = users("add", "alice", "--role", "admin", "--password-stdin", typed=PASSWORD + end)
    assert done.output == f"Added alice to {path}.\n"
    assert check_password(PASSWORD, credentials.read(path).users["alice"].password)


@pytest.mark.parametrize(
    ("complaint", "arguments", "typed"),
    [
        ("too short", ("add", "eve", "--role", "admin", "--password-stdin"), "hunter2\n"),
        ("too long", ("add", "eve", "--role", "admin", "--password-stdin"), "x" * 73),
        ("unknown role 'boss'", ("add", "eve", "--role", "boss", "--password-stdin"), PASSWORD),
        ("Missing option '--role'", ("add", "eve", "--password-stdin"), PASSWORD),
        ("There is a user 'alice' already", ("add", "Alice", "--role", "admin", "--password-stdin"), PASSWORD),
        ("expected a name in lower case", ("add", "eve\nmallory", "--role", "admin", "--password-stdin"), PASSWORD),
        ("each name of 1 to 64 characters", ("add", " ", "--role", "admin", "--password-stdin"), PASSWORD),
        ("expected one line", ("add", "eve", "--role", "admin", "--email", "\x1b[2J", "--password-stdin"), PASSWORD),
        ("There is no user 'eve'", ("remove", "eve"), ""),
        ("There is no user 'eve'", ("password", "eve", "--password-stdin"), PASSWORD),
        ("There is no user 'eve'", ("role", "eve", "admin"), ""),
        ("Missing argument", ("role", "alice"), ""),
        ("too short", ("password", "alice", "--password-stdin"), "hunter2"),
        ("with memory:// only the panel itself knows who is locked", ("unlock", "alice"), ""),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_changes_nothing(
    path: Path, add_user: AddUser, complaint: str, arguments: tuple[str, ...], typed: str
) -> None:
    """It has exit 1 or 2 and the reason, no traceback and no password; the store does not change."""
    add_user("alice", roles=["admin"])
    before = path.read_bytes()
    done = users(*arguments, typed=typed)
    assert done.exit_code in {1, 2}
    assert complaint in done.output
    assert isinstance(done.exception, SystemExit)
    assert not typed or typed.strip() not in done.output
    assert path.read_bytes() == before


def test_list_shows_names_and_roles_and_never_a_hash(add_user: AddUser) -> None:
    """The list is sorted by name; a hostile name is shown unchanged."""
    add_user("bob", roles=[])
    add_user("**alice** <script>", roles=["admin", "viewer"], email="alice@example.com")
    done = users("list")
    assert done.output == (
        "**alice** <script>  admin, viewer  alice@example.com\n"
        "bob                 (no role)\n"
    )  # fmt: skip
    assert HASHED not in done.output
    assert "$2b$" not in done.output


def test_remove_removes_one_user(path: Path, add_user: AddUser) -> None:
    """The others stay."""
    add_user("alice", roles=["admin"])
    add_user("bob", roles=["viewer"])
    assert users("remove", "ALICE").output == "Removed alice.\n"
    assert list(credentials.read(path).users) == ["bob"]


def test_password_and_role_replace_the_old_ones(path: Path, add_user: AddUser) -> None:
    """The old password is no longer valid, only the given roles stay, and nothing else changes."""
    add_user("alice", roles=["admin"], email="alice@example.com")
    done = users("password", "alice", typed=f"{NEW}\n{NEW}\n")
    assert done.exit_code == 0
    assert NEW not in done.output
    user = credentials.read(path).users["alice"]
    assert check_password(NEW, user.password)
    assert not check_password(PASSWORD, user.password)
    assert (user.email, user.roles) == ("alice@example.com", ["admin"])
    assert users("role", "alice", "viewer").output == "alice has now: viewer.\n"
    assert credentials.read(path).users["alice"] == user.model_copy(update={"roles": ["viewer"]})


def test_unlock_lets_a_locked_user_in_and_is_in_the_audit_log(
    add_user: AddUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only that user is unlocked; a later lock is logged again; an unknown name is an error."""
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    for name in ("alice", "bob"):
        add_user(name, roles=["admin"])
        for _ in range(6):
            auth().sign_in(name, NEW)
    assert auth().sign_in("alice", PASSWORD) is SignInRefused.THROTTLED
    caplog.clear()
    done = users("unlock", " ALICE")
    assert (done.exit_code, done.stdout) == (0, "Unlocked alice.\n")
    assert "sign-in unlocked: user='alice' by the command" in caplog.messages
    assert not isinstance(auth().sign_in("alice", PASSWORD), SignInRefused)
    assert auth().sign_in("bob", PASSWORD) is SignInRefused.THROTTLED
    for _ in range(6):
        auth().sign_in("alice", NEW)
    assert any(line.startswith("sign-in locked: user='alice'") for line in caplog.messages)
    refused = users("unlock", "eve")
    assert (refused.exit_code, refused.stderr.count("There is no user 'eve'")) == (1, 1)


def test_a_broken_store_is_an_error_and_does_not_change(path: Path) -> None:
    """Every command names the file and the place of the defect."""
    path.write_text("roles: [")
    path.chmod(0o600)
    for arguments in (["list"], ["remove", "alice"], ["add", "eve", "--role", "admin", "--password-stdin"]):
        done = users(*arguments, typed=PASSWORD)
        assert done.exit_code == 1
        assert done.output.startswith(f"Error: {path}:1: ")
        assert done.output.count("\n") == 1
    assert path.read_text() == "roles: ["


def test_without_a_store_list_names_the_command_to_make_one() -> None:
    """It is the command that adds the first user."""
    done = users("list")
    assert done.exit_code == 1
    assert command.add_user() in done.output


def test_a_wrong_setting_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands read the same settings as the panel."""
    monkeypatch.setenv("PANEL_SESSION_HOURS", "soon")
    done = users("list")
    assert done.exit_code == 1
    assert "PANEL_SESSION_HOURS" in done.output
