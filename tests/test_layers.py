"""The shape of the package."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_no_room_imports_from_one_above_it() -> None:
    """import-linter finds every import allowed by the layers."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def named_in_the_tree() -> dict[str, set[str]]:
    """The tree of CONTRIBUTING.md: what each folder of the package holds, the package itself as an empty name."""
    document = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = document.partition("\nintegrations/\n")[2].partition("\ntests/")[0]
    found: dict[str, set[str]] = {"": set()}
    room = ""
    for line in tree.splitlines():
        if entry := re.match(r"  (\w+(?:/|\.py)) ", line):
            room = entry[1]
            found[""].add(room)
        else:
            names = (re.match(r"\w+/?", part.strip()) for part in re.split("[,;]", line))
            found.setdefault(room, set()).update(name[0] for name in names if name)
    return found


def in_the_folder(folder: Path, suffix: str) -> set[str]:
    """The modules of a folder and the folders in it."""
    modules = {file.stem + suffix for file in folder.glob("*.py") if file.name != "__init__.py"}
    folders = {
        f"{inner.name}/"
        for inner in folder.iterdir()
        if inner.is_dir() and inner.name != "__pycache__" and inner.name[0] != "."
    }
    return modules | folders


def test_the_tree_in_contributing_is_the_packages() -> None:
    """Every module and folder of the package and of its rooms is named there, and nothing else."""
    package = ROOT / "integrations"
    real = {"": in_the_folder(package, ".py")}
    real |= {room: in_the_folder(package / room, "") for room in real[""] if room.endswith("/")}
    named = named_in_the_tree()
    real_paths = {room + name for room, names in real.items() for name in names}
    named_paths = {room + name for room, names in named.items() for name in names}
    assert sorted(real_paths - named_paths) == []
    assert sorted(named_paths - real_paths) == []
