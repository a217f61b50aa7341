"""`integrations tokens …`."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integrations import command
from integrations.cli.main import main
from tests.conftest import AddUser


@pytest.fixture(autouse=True)
def _store(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])


def tokens(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["tokens", *arguments])


def test_a_token_is_printed_once_and_stored_as_a_hash(tmp_path: Path) -> None:
    """Standard output has 256 random bits, and the store has only their SHA-256."""
    made = tokens("add", "grafana", "--role", "viewer")
    token = made.stdout.strip()
    kept = (tmp_path / "auth.yaml").read_text()
    assert made.exit_code == 0
    assert len(token) >= 43
    assert hashlib.sha256(token.encode()).hexdigest() in kept
    assert token not in kept
    assert token not in tokens("list").stdout
    assert tokens("add", "other", "--role", "viewer").stdout.strip() != token


def test_list_shows_names_and_roles() -> None:
    """It shows no hash."""
    tokens("add", "grafana", "--role", "viewer", "--role", "admin")
    assert tokens("list").stdout == "grafana  viewer, admin\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "grafana", "--role", "viewer"), "There is a token 'grafana' already."),
        (("add", "other", "--role", "king"), "unknown role 'king'"),
        (("remove", "nobody"), "There is no token 'nobody'. See: COMMAND tokens list"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """The exit code is 1, no token is printed, and the store does not change."""
    tokens("add", "grafana", "--role", "viewer")
    before = (tmp_path / "auth.yaml").read_text()
    result = tokens(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence.replace("COMMAND", command.name()) in result.stderr
    assert (tmp_path / "auth.yaml").read_text() == before


def test_remove_leaves_the_users(tmp_path: Path) -> None:
    """It removes only the token."""
    tokens("add", "grafana", "--role", "viewer")
    assert tokens("remove", "grafana").exit_code == 0
    assert tokens("list").stdout == ""
    assert "alice" in (tmp_path / "auth.yaml").read_text()
