"""The Makefile's own work, beside what it starts."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPERATORS_OWN = (".env", ".streamlit/")
FOLDERS = ("integrations", "tests", "bench", "scripts")


def test_clean_leaves_nothing_that_tools_made_and_all_that_is_the_operator_s(tmp_path: Path) -> None:
    """Whatever git ignores is gone, but for the settings, the store and the state."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    made = [tmp_path / entry.replace("*", "x").rstrip("/") for entry in ignored]
    made += [tmp_path / folder / "deeper" / "__pycache__" for folder in FOLDERS]
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir()
    done = subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 0, done.stderr
    kept = [path for path in made if path.exists()]
    assert kept == [path for path in made if str(path.relative_to(tmp_path)).startswith(OPERATORS_OWN)]
