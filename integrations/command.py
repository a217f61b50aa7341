"""How the command of this installation is called, for hints that are copied into a shell."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from integrations.files import env_file

_MODULE = "-m integrations.cli"


def name() -> str:
    """What to type before a subcommand, in this folder: the program, and the file of settings where one was named."""
    if not os.environ.get(env_file.VARIABLE):
        return _program()
    return f"{_program()} --env-file {shlex.quote(str(env_file.path().absolute()))}"


def _program() -> str:
    """`integrations` where the shell finds this very one; else its path; else the module of this Python."""
    script = Path(sys.executable).with_name("integrations")
    if not script.is_file():
        return f"{shlex.quote(sys.executable)} {_MODULE}"
    linked = script.parents[2] / ".venv" / "bin" / "integrations"  # as scripts/build-environment makes it
    if linked.is_file() and linked.samefile(script):
        script = linked
    found = shutil.which("integrations")
    if found is not None and Path(found).absolute() == script.absolute():
        return "integrations"
    folder = Path.cwd()
    inside = script.is_relative_to(folder)
    return shlex.quote(str(script.relative_to(folder) if inside else script))


def add_user() -> str:
    """The command that makes the first user."""
    return f"{name()} users add NAME --role admin"
