"""`integrations demo`, as a process."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from integrations.cli.demo import _free_port


def start(tmp_path: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """The demo, its words in `demo.log`."""
    with (tmp_path / "demo.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "integrations.cli", "demo", "--port", str(_free_port())],
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def said(tmp_path: Path, pattern: str, seconds: float = 30) -> "re.Match[str]":
    """What the demo said, once it has."""
    end = time.monotonic() + seconds
    while not (found := re.search(pattern, (tmp_path / "demo.log").read_text())):
        assert time.monotonic() < end, (tmp_path / "demo.log").read_text()
        time.sleep(0.05)
    return found


def answers(url: str) -> bool:
    """Whether the panel is healthy."""
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_demo_serves_until_it_is_ended_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It prints URL, user and password, answers, and ends with its panel and its store on SIGTERM."""
    demo = start(tmp_path)
    try:
        url = said(tmp_path, r"URL +(\S+)")[1]
        said(tmp_path, r"User +admin\s+Password +\S{12,}")
        end = time.monotonic() + 30
        while not answers(url):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(timeout=15)
    assert not answers(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_the_simulator_never_stands_in_for_an_account_that_is_configured(tmp_path: Path) -> None:
    """With IMAI_API_KEY set the demo says that it reads the real account, and starts no simulator."""
    demo = start(tmp_path, IMAI_API_KEY="test-key", IMAI_API_BASE_URL="http://127.0.0.1:9/api")
    try:
        said(tmp_path, r"the demo reads your IMAI account, not the simulator")
        said(tmp_path, r"Password")
        assert "simulator stands in" not in (tmp_path / "demo.log").read_text()
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(timeout=15)


@pytest.mark.parametrize("name", ["IMAI_RENEWAL_DAY", "PANEL_DEADLINE_SECONDS"])
def test_a_wrong_setting_ends_the_demo_with_one_line(tmp_path: Path, name: str) -> None:
    """The line names the variable; nothing is started."""
    demo = start(tmp_path, **{name: "soon"})
    assert demo.wait(timeout=15) == 1
    said(tmp_path, rf"Error: {name}: ")
    assert (tmp_path / "demo.log").read_text().count("\n") == 1
