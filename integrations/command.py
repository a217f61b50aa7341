"""How to call the command of this installation, for hints that are copied into a shell."""

import os
import shlex
import shutil
import sys

from integrations.files import env_file


def name() -> str:
    """Return `integrations`, or its module if it is not on the PATH, and `--env-file` if one is in use."""
    program = "integrations"
    if shutil.which(program) is None:
        program = f"{shlex.quote(sys.executable)} -m integrations.cli"
    if not os.environ.get(env_file.VARIABLE):
        return program
    return f"{program} --env-file {shlex.quote(str(env_file.path().absolute()))}"


def add_user() -> str:
    """Return the command that makes the first user."""
    return f"{name()} users add NAME --role admin"
