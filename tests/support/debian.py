"""A small Debian made of its packages, and the processes in a container of it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"


def make_debian(folder: Path, *packages: str) -> None:
    """Make a root file system with the essential packages, these packages, and this machine's certificates.

    The machine may reach packages through a proxy whose certificate only it trusts.
    """
    include = ",".join(["ca-certificates", *packages])
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={include}", "bookworm", str(folder)]
    subprocess.run(command, check=True)
    shutil.copy(f"/{CERTIFICATES}", folder / CERTIFICATES)


def children(pid: int) -> list[int]:
    """Return the processes that any thread of a process started (proc(5))."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def innermost(pid: int) -> int:
    """Return the last process of a chain in which each started one."""
    started = children(pid)
    return innermost(started[0]) if started else pid
