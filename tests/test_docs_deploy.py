"""docs/deploy.md and the files of deploy/, as far as a test needs no server of its own."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from integrations.cli.main import main
from integrations.web.server import ROUTES

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
UNIT = (ROOT / "deploy" / "integrations@.service").read_text(encoding="utf-8")
NGINX = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSURE = 1.5


def composition() -> dict[str, Any]:
    """Return the panel's part of deploy/compose.yaml."""
    whole = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    (panel,) = whole["services"].values()
    assert isinstance(panel, dict)
    return panel


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Write an instance of the unit, with a command that exists."""
    file = tmp_path / "integrations@8501.service"
    command = Path(sys.executable).with_name("integrations")
    file.write_text(UNIT.replace("/opt/integrations/.venv/bin/integrations", str(command)), encoding="utf-8")
    return file


@pytest.mark.skipif(SYSTEMD_ANALYZE is None and "CI" not in os.environ, reason="needs systemd")
def test_the_unit_is_valid_and_restricted(unit: Path) -> None:
    """`systemd-analyze verify` prints nothing, and `security` rates it as the document does."""
    verify = subprocess.run(
        [str(SYSTEMD_ANALYZE), "verify", unit], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stderr) == (0, "")
    security = subprocess.run(
        [str(SYSTEMD_ANALYZE), "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", security.stdout)
    assert found
    assert float(found[1]) <= MOST_EXPOSURE
    assert f"rates it {found[1]} of 10" in DOCUMENT


def test_the_unit_starts_the_panel(tmp_path: Path) -> None:
    """The command accepts each option, the instance is its port, and the document names the same folders."""
    found = re.search(r"^ExecStart=(\S+) (.+)$", UNIT, re.MULTILINE)
    assert found
    settings = tmp_path / "env"
    settings.touch()
    assert found[2].endswith(" serve --port %i")
    arguments = found[2].replace("/etc/integrations/env", str(settings)).replace("%i", "8501").split()
    shown = CliRunner().invoke(main, [*arguments, "--help"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "serve [OPTIONS]" in shown.stdout
    assert found[1] in DOCUMENT
    assert "/etc/integrations/env" in DOCUMENT


def test_nothing_overrides_the_settings_file() -> None:
    """The unit and the composition set no variable, and the image sets only its address."""
    assert re.search(r"^(Environment|EnvironmentFile|PassEnvironment)=", UNIT, re.MULTILINE) is None
    assert "environment" not in composition()
    assert set(re.findall(r"\b((?:PANEL|IMAI)_\w+)=", CONTAINERFILE)) == {"PANEL_HOST"}


def test_the_lines_of_nginx_are_explained() -> None:
    """Each line that the document explains is in the file, the limits too."""
    table = DOCUMENT.partition("| lines | why |")[2].partition("\n\n")[0]
    cells = " ".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))
    explained = set(re.findall(r"`([^`]+)`", cells))
    limits = {
        "limit_conn",
        "limit_req",
        "client_*_timeout",
        "client_max_body_size",
        "large_client_header_buffers",
    }
    assert explained >= limits | {"least_conn", "proxy_next_upstream", "max_fails"}
    assert [line for line in explained if not fnmatch.fnmatch(NGINX, f"* {line}[ =;]*")] == []


def test_the_health_addresses_are_routes() -> None:
    """The document and the image name only routes of the panel."""
    paths = {route.path for route in ROUTES}
    named = set(re.findall(r"/integrations/health/\w+", DOCUMENT + CONTAINERFILE))
    assert named == {"/integrations/health/live", "/integrations/health/ready"}
    assert named <= paths


def test_the_image_runs_the_panel_as_its_own_user() -> None:
    """It is not root, and it copies no store and no key."""
    assert re.search(r"^USER \d+$", CONTAINERFILE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.+)$", CONTAINERFILE, re.MULTILINE)
    assert json.loads(command) == ["integrations", "serve"]
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert left_out[:2] == [".*", "!.streamlit/config.toml"]


def test_the_document_warns_of_the_host_in_an_env_file() -> None:
    """The image sets PANEL_HOST, and `.env.example` sets it differently."""
    assert re.search(r"^PANEL_HOST=.", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert "`PANEL_HOST`" in DOCUMENT.partition("\n## Containers\n")[2].partition("\n## ")[0]


def test_the_composition_keeps_the_root_read_only_and_listens_on_loopback() -> None:
    """Its files exist, and its command is the panel's and listens at the published port."""
    panel = composition()
    assert (ROOT / "deploy" / panel["build"]["context"] / panel["build"]["dockerfile"]).is_file()
    assert panel["read_only"] is True
    assert panel["ports"] == ["127.0.0.1:8501:8501"]
    shown = CliRunner().invoke(main, [*panel["command"][1:], "--help"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert panel["command"] == ["integrations", "serve", "--host", "0.0.0.0"]  # noqa: S104 - inside the container


def test_the_commands_can_be_followed_in_one_shell() -> None:
    """Only the two blocks that change to the project's folder use its relative paths."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    elsewhere = [block for block in blocks if "cd /opt/integrations\n" not in block]
    assert len(elsewhere) == len(blocks) - 2
    assert [block for block in elsewhere if re.search(r" (deploy|docs)/|make |\.env\b", block)] == []


def test_every_target_is_in_the_makefile() -> None:
    """The document calls existing targets."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", DOCUMENT, re.MULTILINE))
    assert [name for name in targets if not re.search(rf"^{name}:.*##", makefile, re.MULTILINE)] == []


def test_a_server_gets_the_pins_of_the_developers() -> None:
    """requirements-run.lock has the versions of requirements.lock, without the tools of the tests."""
    pins = {
        name: set(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-run.lock")
    }
    assert pins["requirements-run.lock"] < pins["requirements.lock"]
    names = {name for name, _ in pins["requirements-run.lock"]}
    assert {"streamlit", "uvicorn", "setuptools", "redis"} <= names
    assert not names & {"pytest", "playwright", "mypy", "ruff", "hypothesis"}
