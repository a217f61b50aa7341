"""docs/adding-a-provider.md, followed to the letter in a copy of the project: a provider in Python."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment

DOCUMENT = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
PROVIDER, LINE, CANDIDATE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
VARIABLES = {"ACME_API_KEY": "", "ACME_API_BASE_URL": "https://acme.example"}
LEFT_OUT = (
    ".git",
    ".venv*",
    ".peers",
    ".env",
    ".*_cache",
    "__pycache__",
    ".hypothesis",
    "build",
    "mutants",
    "*.egg-info",
)


def edit(file: Path, old: str, new: str) -> None:
    """Put a text in another's place; there must be one such place."""
    content = file.read_text(encoding="utf-8")
    assert content.count(old) == 1, (file, old)
    file.write_text(content.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the example of the page as the page says."""
    copy = tmp_path_factory.mktemp("recipe") / "project"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    providers = copy / "integrations" / "providers"
    (providers / "acme.py").write_text(PROVIDER, encoding="utf-8")
    listed = providers / "__init__.py"
    edit(listed, re.findall(r"^PYTHON: .*\n", listed.read_text(encoding="utf-8"), re.MULTILINE)[0], LINE)
    base = "from integrations.providers.base import Provider\n"
    edit(listed, base, f"from integrations.providers.acme import Acme\n{base}")
    for name, default in VARIABLES.items():
        assert f"`{name}`" in DOCUMENT
        edit(copy / ".env.example", "IMAI_API_KEY=", f"{name}={default}\n# An example's.\nIMAI_API_KEY=")
        row = "| `IMAI_API_BASE_URL` |"
        edit(copy / "README.md", row, f"| `{name}` | {default} | of the example |\n{row}")
    edit(
        copy / "CONTRIBUTING.md",
        "                 base, catalogue/",
        "                 acme, base, catalogue/",
    )
    conformance = copy / "tests" / "providers" / "test_conformance.py"
    edit(conformance, base, f"from integrations.providers.acme import Acme as Ours\n{base}")
    indented = "".join(
        f"    {line}\n" for line in f"{CANDIDATE.replace('Acme()', 'Ours()').rstrip()},".splitlines()
    )
    edit(conformance, "CANDIDATES = (\n", f"CANDIDATES = (\n{indented}")
    return copy


def run(copy: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A command of Python's environment in the copy, which goes before the package that is installed."""
    environment = clean_environment(variables) | {"PYTHONPATH": str(copy)}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return subprocess.run(
        list(command), cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        "ruff check --no-cache",
        "ruff format --no-cache --check",
        "mypy integrations",
        "lint-imports --no-cache",
    ],
)
def test_what_the_page_says_passes_make_lint(copy: Path, command: str) -> None:
    """The example is as strict as the package."""
    ended = run(copy, *command.split())
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_the_page_says_passes_the_tests(copy: Path) -> None:
    """Every fault is tried on it; the tests of endpoint, command, page and documents pass with it."""
    tested = ["providers/test_conformance.py", "web/test_usage.py", "cli/test_usage.py", "ui/test_page.py"]
    tested += ["test_docs.py", "test_settings.py", "test_layers.py"]
    touched = "not test_conformance or Acme or shipped"  # the faults of other providers are tried elsewhere
    ended = run(
        copy, "pytest", "-q", "-p", "no:cacheprovider", "-k", touched, *(f"tests/{name}" for name in tested)
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr


def test_the_new_service_can_stand_in_the_providers_file(copy: Path) -> None:
    """Its card is there beside IMAI's, and names the variable of the missing key."""
    file = copy / "providers.yaml"
    file.write_text("accounts:\n  - service: imai\n  - service: acme\n", encoding="utf-8")
    ended = run(copy, sys.executable, "-m", "integrations.cli", "usage", PANEL_PROVIDERS_FILE=str(file))
    readings = json.loads(ended.stdout)["integrations"]
    assert [reading["provider"] for reading in readings] == ["IMAI", "Acme"]
    assert "ACME_API_KEY" in readings[1]["error"]["message"]
