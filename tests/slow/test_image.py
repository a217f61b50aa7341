"""The image, built from deploy/Containerfile on a root file system of Debian's packages."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.debian import innermost, make_debian
from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:12-slim"
IMAGE = "localhost/integrations"
HOME = "/var/lib/integrations"
CAN_BUILD = os.geteuid() == 0 and shutil.which("apt-get") is not None


@dataclass(frozen=True)
class Container:
    """A container of the image, without a network of its own."""

    buildah: tuple[str, ...]
    name: str
    files: Path
    """Its root file system, seen from outside."""

    def command(self, *command: str, **variables: str) -> list[str]:
        """Return the command line that runs a command in it, with the image's user, folder and variables."""
        options = [f"--env={name}={text}" for name, text in variables.items()]
        return [
            *self.buildah,
            "run",
            "--isolation=chroot",
            "--cap-drop=all",
            *options,
            self.name,
            "--",
            *command,
        ]

    def run(self, *command: str, typed: str = "") -> str:
        """Run a command to its end; return its output."""
        return output(self.command(*command), typed=typed)


def output(command: list[str], typed: str = "") -> str:
    """Run a command; return its output, or fail with its log."""
    done = subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    """Build the image and a container of it, on a base of packages, because Debian's image needs a registry."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        buildah = ("buildah", f"--root={folder}/root", f"--runroot={folder}/run")
        try:
            name = output([*buildah, "from", "scratch"])
            make_debian(Path(output([*buildah, "mount", name])))
            output([*buildah, "commit", "--quiet", "--rm", name, BASE])
            recipe = ["--pull-never", "--isolation=chroot", "--format=docker", "--file=deploy/Containerfile"]
            output([*buildah, "bud", *recipe, f"--tag={IMAGE}", "."])
            name = output([*buildah, "from", "--pull-never", IMAGE])
            yield Container(buildah, name, Path(output([*buildah, "mount", name])))
        finally:
            subprocess.run([*buildah, "rm", "--all"], capture_output=True, check=False)
            subprocess.run([*buildah, "rmi", "--all", "--force"], capture_output=True, check=False)


@contextmanager
def served(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command that serves; yield it once it logs the address, and kill it at the end."""
    with log.open("wb") as written:
        running = subprocess.Popen(command, stderr=written)
    try:
        end = time.monotonic() + 60
        while "Serving on" not in log.read_text():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield running
    finally:
        if running.poll() is None:
            os.kill(innermost(running.pid), signal.SIGKILL)  # the others end with it
            running.wait(timeout=20)


def stopped(running: "subprocess.Popen[bytes]") -> int:
    """End the panel by SIGTERM; return the exit code."""
    os.kill(innermost(running.pid), signal.SIGTERM)
    return running.wait(timeout=20)


def listing(files: Path) -> set[tuple[str, int]]:
    """Return every file of the panel's folder with its time of change."""
    folder = files / "opt/integrations"
    return {(str(file), file.lstat().st_mtime_ns) for file in folder.rglob("*")}


@pytest.mark.skipif(not CAN_BUILD and "CI" not in os.environ, reason="needs root on Debian")
def test_the_image_serves_as_its_user_and_its_health_check_passes(
    container: Container, tmp_path: Path
) -> None:
    """It has a first user, writes only to the volume, and exits 0 after SIGTERM."""
    before = listing(container.files)
    add = ("integrations", "users", "add", "alice", "--role", "admin", "--password-stdin")
    assert (
        container.run(*add, typed="test-password-not-secret")
        == f"Added alice to {HOME}/.streamlit/auth.yaml."
    )
    about = json.loads(output([*container.buildah, "inspect", "--type=image", IMAGE]))["Docker"]["config"]
    assert list(about["Volumes"]) == [HOME]
    port = free_port()
    with served(container.command(*about["Cmd"], PANEL_PORT=str(port)), tmp_path / "log") as running:
        kind, *health = [part.replace(":8501", f":{port}") for part in about["Healthcheck"]["Test"]]
        assert kind == "CMD"
        assert container.run(*health) == ""
        ready = f"http://127.0.0.1:{port}/integrations/health/ready"
        with urllib.request.urlopen(ready, timeout=30) as answer:
            assert answer.read() == b"ready\n"
        status = Path(f"/proc/{innermost(running.pid)}/status").read_text()
        shown = re.findall(r"^(?:Uid|CapEff):\t(\w+)", status, re.MULTILINE)
        assert shown == [about["User"], "0000000000000000"]
        assert stopped(running) == 0
    assert listing(container.files) == before
    with pytest.raises(AssertionError):
        container.run("python", "-c", health[-1])  # the panel has ended, so the check fails
