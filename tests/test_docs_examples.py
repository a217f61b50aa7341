"""Examples of the documents that people copy: a line for cron, and blocks for dashboards."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import yaml

from integrations.demo.server import Simulator
from integrations.quota.models import Reading
from tests.support.processes import ROOT, clean_environment

USAGE_JSON = (ROOT / "docs" / "usage-json.md").read_text(encoding="utf-8")
MAY_BE_NULL = {
    field.alias
    for name, field in Reading.model_fields.items()
    if NoneType in get_args(get_type_hints(Reading)[name])
}


def mails(folder: Path) -> list[str]:
    """Run the document's line for cron with other paths; return the lines of the mail that it sends."""
    (line,) = (line for line in USAGE_JSON.splitlines() if "| mail -s" in line)
    for stated, here in (
        ("/var/lib/integrations", str(folder)),
        ("/opt/integrations/.venv/bin/integrations", shlex.join([sys.executable, "-m", "integrations.cli"])),
        ("/etc/integrations/env", str(folder / "env")),
    ):
        assert stated in line
        line = line.replace(stated, here)
    post = folder / "mail"
    post.write_text('#!/bin/sh\ncat >>"$(dirname "$0")/sent"\n', encoding="utf-8")
    post.chmod(0o755)
    environment = {**clean_environment({}), "PATH": f"{folder}:/usr/bin:/bin"}
    run = subprocess.run(
        ["/bin/sh", "-c", line], cwd="/", env=environment, capture_output=True, text=True, check=True
    )
    assert (run.stdout, run.stderr) == ("", "")
    sent = folder / "sent"
    return sent.read_text(encoding="utf-8").splitlines() if sent.exists() else []


def test_the_line_for_cron_sends_a_mail_when_something_needs_a_person(
    simulator: Simulator, tmp_path: Path
) -> None:
    """It works in any folder and without our PATH: no mail if all is well, the table from the level on."""
    settings = f"IMAI_API_BASE_URL={simulator.url}\nIMAI_API_KEY={simulator.key}\nIMAI_TOTAL_CREDITS=10000\n"
    (tmp_path / "env").write_text(settings, encoding="utf-8")
    (tmp_path / "env").chmod(0o600)
    assert mails(tmp_path) == []
    simulator.credits = "400"
    heading, row = mails(tmp_path)
    assert heading.startswith("Provider")
    assert row.split()[:3] == ["IMAI", "Almost", "exhausted"]


def test_no_dashboard_makes_a_figure_of_null() -> None:
    """Glance takes no field for a number that may be null; Homepage has a dash for each, and no format."""
    blocks = re.findall(r"```yaml\n(.*?)```", USAGE_JSON, re.DOTALL)
    (glance,) = (block for block in blocks if "custom-api" in block)
    assert not MAY_BE_NULL & set(re.findall(r'\.(?:Int|Float) "(\w+)"', glance))
    assert "remainingQuota" in MAY_BE_NULL
    (homepage,) = (yaml.safe_load(block)["widget"] for block in blocks if "customapi" in block)
    for mapping in homepage["mappings"]:
        if mapping["field"].rpartition(".")[2] in MAY_BE_NULL:
            assert mapping["remap"] == [{"value": None, "to": "–"}]  # noqa: RUF001 - as the document has it
            assert "format" not in mapping
