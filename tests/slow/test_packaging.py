"""The package as `pip install .` makes it: everything that the panel needs comes along."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypedDict

import pytest

from integrations.demo.server import Simulator


class Identity(TypedDict, total=False):
    """Whom a process runs as, in the words of `subprocess`."""

    user: int
    group: int
    extra_groups: list[int]


ROOT = Path(__file__).parents[2]
NOBODY = 54321
SOMEBODY_ELSE: Identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
LENT = sysconfig.get_path("purelib")
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "app.py", ".streamlit/config.toml", "integrations")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that everybody may look into; pytest's own are for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="installed-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def installed(folder: Path) -> Path:
    """The command in a fresh environment; what the package depends on is lent by this one."""
    source = folder / "source"
    for name in SOURCES:
        origin, copy = ROOT / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, copy)
    environment = folder / "venv"
    subprocess.run([interpreter(), "-m", "venv", "--without-pip", environment], check=True)
    packages = next(environment.glob("lib/*/site-packages"))
    # A plain path in a .pth: the editable install of the clone, which has a .pth of its own there, is not followed.
    (packages / "lent.pth").write_text(f"{LENT}\n", encoding="utf-8")
    install = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
    ]
    install += ["--no-build-isolation", "--python", str(environment / "bin" / "python"), str(source)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return environment / "bin" / "integrations"


def runs(python: str, identity: Identity) -> bool:
    """Whether this Python is of our version, and finds the packages that are lent, as the one who asks."""
    look = f"import sys; sys.path.append({LENT!r}); import click; print(sys.version_info[:2] == {sys.version_info[:2]})"
    try:
        done = subprocess.run(
            [python, "-c", look], cwd="/", capture_output=True, text=True, check=False, **identity
        )
    except OSError:
        return False
    return done.stdout == "True\n"


@cache
def interpreter() -> str:
    """A Python that others may run, too, where there is one: ours may lie in root's home."""
    pythons = [str(Path(sys.executable).resolve()), "/usr/bin/python3"]
    if os.geteuid() == 0:
        pythons = [python for python in pythons if runs(python, SOMEBODY_ELSE)] + pythons
    return pythons[0]


@pytest.fixture
def address(installed: Path, tmp_path: Path, imai: Simulator) -> Iterator[str]:
    """The panel, served from an empty directory by the installed command."""
    log = tmp_path / "serve.log"
    environment = {name: value for name, value in os.environ.items() if name.startswith(("IMAI_", "PANEL_"))}
    assert environment["IMAI_API_BASE_URL"] == imai.url
    with log.open("wb") as output:
        running = subprocess.Popen(
            [installed, "serve", "--port", "0"],
            cwd=tmp_path,
            env={**environment, "PATH": os.defpath, "HOME": str(tmp_path)},
            stderr=output,
        )
    try:
        yield _address(log, running)
    finally:
        running.terminate()
        running.wait(timeout=10)


def test_it_serves_where_nothing_can_be_written(installed: Path, folder: Path) -> None:
    """A directory of root's, no home, no user of that number, no store yet: it lives, and leaves nothing there."""
    root = folder / "root"
    root.mkdir(mode=0o555)
    identity: Identity = SOMEBODY_ELSE if os.geteuid() == 0 and runs(interpreter(), SOMEBODY_ELSE) else {}
    environment = {"PATH": os.defpath, "PANEL_STATE_URL": "memory://"}
    log = folder / "read-only.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [installed, "serve", "--port", "0"], cwd=root, env=environment, stderr=output, **identity
        )
    try:
        assert get(f"{_address(log, running)}/integrations/health/live") == b"live\n"
    finally:
        running.terminate()
        assert running.wait(timeout=10) == 0
    assert list(root.iterdir()) == []


def _address(log: Path, running: "subprocess.Popen[bytes]") -> str:
    """Where it serves, once it says so."""
    end = time.monotonic() + 60
    while not (found := re.search(r"Serving on (http://\S+)", log.read_text())):
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    return found[1]


def get(url: str) -> bytes:
    """A body, once it comes."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        body: bytes = answer.read()
        return body


def test_the_installed_panel_serves_from_any_directory(installed: Path, tmp_path: Path, address: str) -> None:
    """The page, its health, its metrics' door and our own script are there; nothing is read from the clone."""
    assert b"<title>" in get(address)
    assert get(f"{address}/integrations/health/live") == b"live\n"
    assert b"export" in get(f"{address}/_stcore/bidi-components/integrations.browser/session.js")
    where: list[str | Path] = [
        installed.with_name("python"),
        "-c",
        "import integrations.app as a; print(a.__file__)",
    ]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found).is_relative_to(installed.parents[1])


def test_the_theme_and_the_options_come_along(installed: Path) -> None:
    """The configuration lies beside the page's file, where Streamlit looks for it, word for word the clone's."""
    (file,) = installed.parents[1].glob("lib/*/site-packages/integrations/.streamlit/config.toml")
    assert not file.is_symlink()
    assert file.read_bytes() == (ROOT / ".streamlit" / "config.toml").read_bytes()
    assert list(file.parent.iterdir()) == [file]  # and no store, no secrets of whoever built it


def test_usage_and_users_work_from_any_directory(installed: Path, tmp_path: Path, imai: Simulator) -> None:
    """The other commands, too."""
    usage = subprocess.run(
        [installed, "usage", "--table"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "7,500" in usage.stdout
    assert imai.calls == 1
    adding: list[str | Path] = [installed, "users", "add", "alice", "--role", "admin", "--password-stdin"]
    added = subprocess.run(
        adding, cwd=tmp_path, input="test-password-not-secret", capture_output=True, text=True, check=True
    )
    assert added.stdout.startswith("Added alice to ")


def test_streamlit_finds_the_browsers_script_by_the_packages_name() -> None:
    """The file inside the package names the project as the outer one does."""
    inner, outer = (
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        for folder in (ROOT / "integrations", ROOT)
    )
    assert inner["project"]["name"] == outer["project"]["name"]
    (component,) = inner["tool"]["streamlit"]["component"]["components"]
    assert (ROOT / "integrations" / component["asset_dir"] / "session.js").is_file()
