"""The package as `pip install .` makes it: everything that the panel needs comes along."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrations.simulator import Simulator

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "app.py", ".streamlit/config.toml", "integrations")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in a fresh environment; what the package depends on is lent by this one."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in SOURCES:
        origin, copy = ROOT / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, copy)
    environment = folder / "venv"
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/*/site-packages"))
    # A plain path in a .pth: the editable install of the clone, which has a .pth of its own there, is not followed.
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
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


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder that cannot be written to; it can again afterwards."""
    folder.mkdir(mode=0o500)
    try:
        yield folder
    finally:
        folder.chmod(0o700)


def test_it_serves_where_nothing_can_be_written(installed: Path, tmp_path: Path) -> None:
    """As in the image: another home, no store yet; and the image's own health check finds it alive."""
    containerfile = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    found = re.search(r'CMD \["python", "-c", \\\s+"(.+?)"\]', containerfile)
    assert found
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", "PANEL_STATE_URL": "memory://"}
    with read_only(tmp_path / "root") as folder, (tmp_path / "serve.log").open("wb") as output:
        running = subprocess.Popen(
            [installed, "serve", "--port", "0"], cwd=folder, env=environment, stderr=output
        )
        try:
            check = found[1].replace("http://127.0.0.1:8501", _address(tmp_path / "serve.log", running))
            healthy = [installed.with_name("python"), "-c", check.replace("timeout=4", "timeout=60")]
            assert subprocess.run(healthy, cwd=folder, check=False).returncode == 0
        finally:
            running.terminate()
            assert running.wait(timeout=10) == 0
        assert list(folder.iterdir()) == []


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
