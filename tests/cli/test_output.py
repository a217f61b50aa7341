"""The commands where what they print cannot be written: /dev/full is a full disk."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from integrations.access import store
from integrations.cli.main import main
from integrations.demo.server import Simulator
from tests.support.processes import COMMAND

LINE = "Error: What is printed cannot be written: No space left on device.\n"


def onto_a_full_disk(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command as a process, with its standard error."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        return subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )


@pytest.mark.parametrize("arguments", [("usage",), ("usage", "--table"), ("check", "--offline"), ("--help",)])
def test_a_full_disk_is_one_line_and_exit_1(imai: Simulator, arguments: tuple[str, ...]) -> None:
    """No traceback, and no word of Python's at its end."""
    assert imai.url
    done = onto_a_full_disk(*arguments)
    assert (done.returncode, done.stderr) == (1, LINE)


def test_a_full_disk_is_unknown_to_nagios(imai: Simulator) -> None:
    """1 would be WARNING to it."""
    assert imai.url
    done = onto_a_full_disk("usage", "--nagios")
    assert (done.returncode, done.stderr) == (3, "")


def test_a_token_that_nobody_saw_is_none(tmp_path: Path) -> None:
    """Its name is free for the next try."""
    done = onto_a_full_disk("tokens", "add", "grafana", "--role", "viewer")
    assert (done.returncode, done.stderr) == (1, LINE)
    assert store.read(tmp_path / "auth.yaml").tokens == {}
    assert CliRunner().invoke(main, ["tokens", "add", "grafana", "--role", "viewer"]).exit_code == 0
