"""The state's file: its content, its locks and the room for it."""

import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import filelock
import pytest
import time_machine

from integrations.state import State, StateError, UnusableStateError
from tests.state.conftest import MOUNTS, Open, lines, refused


@pytest.fixture
def state(url: str, opened: Open) -> State:
    """A state whose file holds one text."""
    state = opened(url)
    state.put("a", "text", 3600)
    return state


@pytest.mark.parametrize("content", [b"no database", os.urandom(8192)], ids=["short", "long"])
def test_a_file_of_another_kind_is_refused(opened: Open, url: str, path: Path, content: bytes) -> None:
    """It is left as it is, and once it is gone, all works."""
    path.write_bytes(content)
    path.chmod(0o600)
    state = opened(url)
    text = refused(state)
    assert text.startswith(
        f"{path}: damaged, or not a state (file is not a database). Stop the panel, remove"
    )
    assert path.read_bytes() == content
    path.unlink()
    state.check()
    assert state.get("a") is None


def test_damage_behind_the_first_page_is_refused(
    state: State, opened: Open, url: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A check finds it, even if the records in use are intact; without the file the panel works again."""
    for number in range(500):
        state.put(f"key {number}", "x" * 500, 3600)
    state.close()
    damaged = bytearray(path.read_bytes())
    damaged[150_000:160_000] = os.urandom(10_000)
    path.write_bytes(damaged)
    state = opened(url)
    assert state.get("a") == "text"
    with pytest.raises(
        UnusableStateError, match=f"^{path}: damaged, or not a state .*Stop the panel, remove"
    ):
        state.check()
    assert lines(caplog) == []  # whoever starts the panel reports it
    with pytest.raises(UnusableStateError, match="damaged"):
        state.get_many([f"key {number}" for number in range(500)])
    for file in path.parent.glob("state.sqlite3*"):
        file.unlink()
    state.check()
    assert state.items("") == {}


def test_a_file_of_a_newer_version_is_refused(state: State, opened: Open, url: str, path: Path) -> None:
    """It is not changed: the newer version can use it again."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert "made by a newer version of the panel" in refused(opened(url))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


def test_a_locked_file_is_waited_for_two_seconds_and_once(state: State, path: Path) -> None:
    """Thirty viewers wait together, and reading continues."""
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    took: list[float] = []

    def write() -> None:
        begun = time.monotonic()
        with pytest.raises(StateError):
            state.put("b", "text", 60)
        took.append(time.monotonic() - begun)

    writers = [threading.Thread(target=write) for _ in range(30)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert 1.5 < max(took) < 3.5
    begun = time.monotonic()
    assert state.get("a") == "text"
    with pytest.raises(StateError):
        state.put("b", "text", 60)
    assert time.monotonic() - begun < 0.5
    foreign.close()


def test_opening_a_locked_file_waits_two_seconds_in_all(
    state: State, opened: Open, path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Both for a process that opens it and for a program that has locked it; then the panel can start."""
    state.close()
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("PRAGMA locking_mode = EXCLUSIVE")
    foreign.execute("BEGIN IMMEDIATE")
    opening = filelock.FileLock(f"{path}.lock", thread_local=False)
    opening.acquire()
    threading.Timer(1.5, opening.release).start()
    begun = time.monotonic()
    state = opened(url)
    for text in (f"{path}: another program has kept it locked for 2 s", "not tried again yet"):
        with pytest.raises(StateError, match=text) as caught:
            state.check()
        assert not isinstance(caught.value, UnusableStateError)
    assert 1.5 < time.monotonic() - begun < 2.9
    assert lines(caplog) == ["State: writing fails"]
    foreign.close()


def test_the_file_does_not_grow_for_ever(opened: Open, url: str, path: Path) -> None:
    """Expired texts and attempts make room for new ones."""
    sizes = []
    with time_machine.travel(1_000_000, tick=False) as clock:
        for _ in range(10):
            state = opened(url)  # sweeps at its first write
            for number in range(50):
                state.put(f"{clock}{number}", "x" * 10_000, 60)
                state.reserve("x" * 10_000, 1000, 60)
            state.close()
            sizes.append(path.stat().st_size)
            clock.shift(61)
    assert sizes[-1] < 2 * sizes[0]


FULL_PIPE: Final = """
import resource, sys
from integrations.state import StateError, open_state
state = open_state(sys.argv[1])
state.put("a", "text", 60)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
try:
    for number in range(1000):
        state.put(str(number), "x" * 10_000, 60)
except StateError as error:
    print(error)
print(state.get("a"), state.get("0") is not None)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
state.put("b", "text", 60)
print(state.get("b"))
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY, reason="limited")
def test_reading_continues_if_nothing_can_be_written(url: str, path: Path) -> None:
    """Writing works again without a restart."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_PIPE, url], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [f"{path}: disk I/O error", "text True", "text"]
    assert done.stderr.count("State: writing fails") == 1


def on_a_small_disk(script: str, path: Path, *arguments: str) -> tuple[list[str], list[str]]:
    """Run a script with the folder of `path` on a file system of one megabyte; return its output and its log."""
    mount = f'mount -t tmpfs -o size=1m,nr_inodes=30,mode=700 tmpfs "{path.parent}"; exec "$0" "$@"'
    done = subprocess.run(
        [*MOUNTS, mount, sys.executable, "-c", COMMON + script, f"sqlite:///{path}", path.parent, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines(), [line for line in done.stderr.splitlines() if line.startswith("State")]


COMMON: Final = """
import pathlib, shutil, sys
from integrations.state import StateError, open_state
url, filler = sys.argv[1], pathlib.Path(sys.argv[2]) / "filler"

def fill(what):
    filler.mkdir()
    try:
        for number in range(1_000):
            with (filler / str(number)).open("wb", buffering=0) as file:
                while what == "blocks" and file.write(b"x" * 4096) == 4096:
                    pass
    except OSError as error:
        print(error.strerror)

def attempt(*calls):
    for call in calls:
        try:
            call()
        except StateError as error:
            print(type(error).__name__, error)

def take_lock():
    with state.lock("a", wait=0):
        pass

"""
RUNNING: Final = """
state = open_state(url)
state.put("a", "text", 60)
state.reserve("locked", 1, 60)
fill("blocks")
for _ in range(3):
    attempt(lambda: state.put("b", "x" * 20_000, 60), state.check)
    print(state.get("a"), state.take("c"), state.reserve("locked", 1, 60))
shutil.rmtree(filler)
state.check()
state.put("b", "text", 60)
print(state.get("b"))
"""
STARTING: Final = """
if sys.argv[4] == "there":
    state = open_state(url)
    state.put("a", "text", 60)
    state.close()
fill(sys.argv[3])
state = open_state(url)
attempt(state.check, lambda: state.get("a"), lambda: state.put("b", "text", 60), take_lock)
shutil.rmtree(filler)
state.check()
print(state.get("a"))
"""


def test_a_full_disk_is_reported_and_reading_continues(path: Path) -> None:
    """A check finds it, too; writing works again once there is room, and is said to only then."""
    output, log = on_a_small_disk(RUNNING, path)
    full = f"StateError {path}: the disk is full. Make room; the panel goes on by itself"
    assert output == ["No space left on device", *[full, full, "text None False"] * 3, "text"]
    assert [line.partition(": /")[0] for line in log] == [
        "State: writing fails",
        "State: writing works again",
    ]


@pytest.mark.parametrize(
    ("fills", "locks"), [("blocks", 0), ("inodes", 1)], ids=["no room", "no room for another file"]
)
@pytest.mark.parametrize("was", ["there", "not there"])
def test_a_disk_that_is_full_at_the_start_is_reported(path: Path, fills: str, locks: int, was: str) -> None:
    """The panel can start, and continues once there is room."""
    full = f"StateError {path}: the disk is full. Make room; the panel goes on by itself"
    (begin, *said, end), _ = on_a_small_disk(STARTING, path, fills, was)
    assert begin == "No space left on device"
    assert said == [full] * (3 + locks)
    assert end == ("text" if was == "there" else "None")
