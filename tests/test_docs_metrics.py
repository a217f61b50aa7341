"""docs/metrics.md and deploy/alerts.yml against the endpoint and Prometheus' own checks."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import yaml

from integrations.demo.server import Simulator
from integrations.readings import traffic
from integrations.web import metrics
from tests.conftest import IMAI

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ALERTS = ROOT / "deploy" / "alerts.yml"
PROMTOOL = shutil.which("promtool") or "/usr/bin/promtool"


def promtool(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run promtool on files."""
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)


def block(language: str) -> str:
    """Return the document's first block in a language."""
    return str(re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)[0])


def names() -> set[str]:
    """Return the name of every metric."""
    text = metrics._exposition(openmetrics=False)[0].decode()
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


def test_every_metric_is_described(imai: Simulator) -> None:
    """The table has the endpoint's metrics, and no others."""
    assert imai.calls == 0
    traffic.add(IMAI.label, requests=1, seconds=0.5)
    described = re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE)
    assert set(described) == names()


def test_the_alert_rules_are_right() -> None:
    """Promtool accepts the three, and they name existing metrics."""
    run = promtool("check", "rules", ALERTS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SUCCESS: 3 rules found" in run.stdout
    named = set(re.findall(r"\bintegration_\w+", ALERTS.read_text(encoding="utf-8")))
    assert named <= names()


CASES = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'integration_quota_level{integration="IMAI"}', values: '1x20 2x20'}
      - {series: 'integration_quota_level{integration="Empty"}', values: '3x40'}
      - {series: 'integration_quota_level{integration="Told"}', values: '3x40'}
      - {series: 'integration_quota_remaining{integration="Nothing included"}', values: '0x40'}
      - {series: 'integration_error{integration="Told", code="quota_exhausted"}', values: '1x40'}
      - {series: 'integration_error{integration="Untold", code="quota_exhausted"}', values: '1x40'}
      - {series: 'integration_error{integration="Slow", code="timeout"}', values: '1x40'}
      - {series: 'integration_up{integration="IMAI"}', values: '1x5 0x40'}
      - {series: 'up{job="integrations"}', values: '1x40'}
    alert_rule_test:
      - {eval_time: 9m, alertname: IntegrationQuotaLow, exp_alerts: []}
      - eval_time: 35m
        alertname: IntegrationQuotaLow
        exp_alerts:
EXHAUSTED
      - {eval_time: 30m, alertname: IntegrationUnreadable, exp_alerts: []}
      - eval_time: 40m
        alertname: IntegrationUnreadable
        exp_alerts:
          - exp_labels: {severity: warning, integration: IMAI}
            exp_annotations:
              summary: "IMAI has not been read for half an hour"
              description: "Its card says why; integration_error has the code."
      - {eval_time: 40m, alertname: IntegrationsPanelGone, exp_alerts: []}
  - interval: 1m
    input_series: []
    alert_rule_test:
      - eval_time: 20m
        alertname: IntegrationsPanelGone
        exp_alerts:
          - exp_labels: {severity: warning, job: integrations}
            exp_annotations:
              summary: "The integrations panel cannot be scraped"
              description: "Nobody sees quotas run out: is it running, and is its token still in the store?"
"""
EXHAUSTED = """
          - exp_labels: {severity: critical, integration: NAME}
            exp_annotations:
              summary: "NAME  is almost exhausted"
              description: "The panel shows what is left and when it renews."
"""


def test_the_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    """Low, once, after ten minutes at `critical` or of `quota_exhausted`; unreadable after thirty, gone after ten."""
    cases = tmp_path / "cases.yml"
    exhausted = "".join(EXHAUSTED.replace("NAME", name) for name in ("IMAI", "Empty", "Told", "Untold"))
    exhausted = exhausted.replace("integration: Untold", "integration: Untold, code: quota_exhausted")
    cases.write_text(CASES.replace("RULES", str(ALERTS)).replace("EXHAUSTED", exhausted), encoding="utf-8")
    run = promtool("test", "rules", cases)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_scrape_configuration_is_one_of_prometheus(tmp_path: Path) -> None:
    """Promtool accepts it, with a token and rules at the places that it names."""
    (tmp_path / "integrations.token").write_text("test-token", encoding="utf-8")
    shutil.copy(ALERTS, tmp_path / "integrations-alerts.yml")
    file = tmp_path / "prometheus.yml"
    file.write_text(block("yaml").replace("/etc/prometheus", str(tmp_path)), encoding="utf-8")
    run = promtool("check", "config", file)
    assert run.returncode == 0, run.stdout + run.stderr
    (job,) = yaml.safe_load(block("yaml"))["scrape_configs"]
    assert job["job_name"] == "integrations"  # as the third alert has it


def test_the_grafana_panel_asks_for_a_metric() -> None:
    """It is JSON, and its query is an existing metric."""
    panel = json.loads(block("json"))
    assert panel["targets"][0]["expr"] in names()
