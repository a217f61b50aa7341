"""scripts/build-environment: a new environment beside the one in use, and a swap that nobody notices."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "build-environment"
MODULE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/panel.py"
BACKEND = """
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    text = pathlib.Path("panel.py").read_text()
    if not text:
        raise SystemExit("nothing to build")
    name = "panel-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("panel.py", text)
        wheel.writestr("panel-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: panel\\nVersion: 1\\n")
        wheel.writestr("panel-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("panel-1.dist-info/RECORD", "")
    return name
"""


class Clone:
    """A clone of a project that needs one package, which is made here: nothing is asked of an index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = folder / ".venv"
        (folder / "backend.py").write_text(BACKEND, encoding="utf-8")
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            encoding="utf-8",
        )
        wheel = folder / "needed-1-py3-none-any.whl"
        with ZipFile(wheel, "w") as archive:
            archive.writestr("needed.py", "")
            archive.writestr(
                "needed-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: needed\nVersion: 1\n"
            )
            archive.writestr(
                "needed-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr("needed-1.dist-info/RECORD", "")
        self.pin = f"./{wheel.name} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"
        self.lock = folder / "a.lock"
        self.lock.write_text(self.pin, encoding="utf-8")

    def build(self, version: str) -> "subprocess.CompletedProcess[str]":
        """Run the script on this version of the project."""
        (self.folder / "panel.py").write_text(version, encoding="utf-8")
        return subprocess.run(
            [SCRIPT, self.lock.name],
            cwd=self.folder,
            env={**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def environments(self) -> set[str]:
        """The environments that are there, whichever is in use."""
        return {found.name for found in self.folder.glob(".venv-*")}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone whose `.venv` leads to an environment, with one from before beside it."""
    made = Clone(tmp_path)
    for name in (".venv-older", ".venv-old"):
        (tmp_path / name / MODULE).parent.mkdir(parents=True)
        (tmp_path / name / MODULE).write_text("old", encoding="utf-8")
    made.environment.symlink_to(".venv-old")
    return made


@contextmanager
def reading(file: Path) -> Iterator[set[str]]:
    """What somebody who reads a file on and on finds meanwhile."""
    found: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                found.add(file.read_text(encoding="utf-8"))
            except OSError as error:
                found.add(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        done.set()
        reader.join()


def test_whoever_reads_meanwhile_finds_the_old_or_the_new(clone: Clone) -> None:
    """Never nothing; what the lock pins comes along, and only the environment before stays, for what runs in it."""
    with reading(clone.environment / MODULE) as found:
        done = clone.build("new")
    assert done.returncode == 0, done.stderr
    assert found <= {"old", "new"}
    assert (clone.environment / MODULE).read_text(encoding="utf-8") == "new"
    assert list(clone.environment.glob("lib/*/site-packages/needed.py"))
    assert (clone.environment / "ready").is_file()
    assert clone.environments() == {".venv-old", clone.environment.readlink().name}


def test_a_build_that_fails_leaves_all_as_it_was(clone: Clone) -> None:
    """`.venv` is the old one, and nothing half made stays."""
    done = clone.build("")
    assert done.returncode != 0
    assert "nothing to build" in done.stderr
    assert clone.environment.readlink().name == ".venv-old"
    assert (clone.environment / MODULE).read_text(encoding="utf-8") == "old"
    assert clone.environments() == {".venv-old", ".venv-older"}


def test_a_folder_in_the_place_of_the_link_is_kept_as_the_one_before(tmp_path: Path) -> None:
    """An environment that was made by hand."""
    clone = Clone(tmp_path)
    clone.environment.mkdir()
    (clone.environment / "by-hand").touch()
    done = clone.build("new")
    assert done.returncode == 0, done.stderr
    assert (clone.environment / MODULE).read_text(encoding="utf-8") == "new"
    assert (tmp_path / ".venv-before" / "by-hand").exists()
