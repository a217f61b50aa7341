"""A small Debian made of its packages, and what runs in a container of it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"


def make_debian(folder: Path, *packages: str) -> None:
    """Make a root file system there: what Debian itself needs, these packages, and certificates.

    This machine may reach packages through a proxy with a certificate of its own: it is trusted there, too.
    """
    include = ",".join(["ca-certificates", *packages])
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={include}", "bookworm", str(folder)]
    subprocess.run(command, check=True)
    shutil.copy(f"/{CERTIFICATES}", folder / CERTIFICATES)


def children(pid: int) -> list[int]:
    """The processes that a process started, any of its threads (proc(5))."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def innermost(pid: int) -> int:
    """The last of a chain of processes of which each started one."""
    started = children(pid)
    return innermost(started[0]) if started else pid
