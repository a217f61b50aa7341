"""A real Prometheus scrapes the panel as docs/metrics.md says."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from integrations.demo.server import Simulator
from tests.conftest import AddUser
from tests.support.processes import free_port
from tests.test_docs_metrics import ALERTS, block
from tests.web.asgi_server import Server
from tests.web.test_usage import token

PROMETHEUS = shutil.which("prometheus") or "/usr/bin/prometheus"
SECONDS = 30


def query(address: str, expression: str) -> list[dict[str, object]]:
    """What Prometheus has for an expression; nothing while it starts."""
    url = f"http://{address}/api/v1/query?query={urllib.parse.quote(expression)}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            result: list[dict[str, object]] = json.load(answer)["data"]["result"]
            return result
    except (urllib.error.URLError, ConnectionError):
        return []


def test_prometheus_has_the_figures(tmp_path: Path, imai: Simulator, add_user: AddUser) -> None:
    """With the documented configuration, a token and the alert rules; scraping asks IMAI once."""
    add_user("alice", roles=["admin"])
    (tmp_path / "integrations.token").write_text(token("viewer"), encoding="utf-8")
    shutil.copy(ALERTS, tmp_path / "integrations-alerts.yml")
    config = tmp_path / "prometheus.yml"
    address = f"127.0.0.1:{free_port()}"
    with Server() as server:
        text = (
            block("yaml").replace("/etc/prometheus", str(tmp_path)).replace("panel.example.com", server.host)
        )
        text = text.replace("https", "http").replace("1m", "1s").replace("15s", "1s")
        config.write_text(text, encoding="utf-8")
        command = [PROMETHEUS, f"--config.file={config}", f"--web.listen-address={address}"]
        command.append(f"--storage.tsdb.path={tmp_path / 'data'}")
        with (tmp_path / "log").open("wb") as log:
            running = subprocess.Popen(command, stderr=log)
        try:
            end = time.monotonic() + SECONDS
            while not (found := query(address, "integration_quota_remaining")):
                assert time.monotonic() < end, (tmp_path / "log").read_text(encoding="utf-8")
                time.sleep(0.2)
            (up,) = query(address, 'up{job="integrations"}')
        finally:
            running.terminate()
            running.wait(timeout=10)
    (sample,) = found
    assert isinstance(sample["value"], list)
    assert sample["value"][1] == "7500"
    assert isinstance(up["value"], list)
    assert up["value"][1] == "1"
    assert imai.calls == 1
