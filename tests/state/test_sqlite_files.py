"""Changes of the state's files while the panel runs."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from integrations.state import State, StateError, open_state, sqlite
from tests.state.conftest import MOUNTS, Open
from tests.support.processes import wait_for
from tests.support.races import races


@pytest.fixture
def url(path: Path) -> str:
    """The file's URL."""
    return f"sqlite:///{path}"


ANOTHER: Final = """
import sys
from integrations.state import open_state
state = open_state(sys.argv[1])
for line in sys.stdin:
    doing, key = line.split()
    print(state.put(key, "text", 60) if doing == "put" else state.get(key), flush=True)
"""


class Another:
    """Another process of the panel."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ANOTHER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def does(self, what: str) -> str:
        """Send `put KEY` or `get KEY` and return the answer."""
        assert self._process.stdin
        assert self._process.stdout
        print(what, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        """End the process as a restart does."""
        self._process.communicate(timeout=30)


@pytest.fixture
def others(url: str) -> Iterator[list[Another]]:
    """Two more processes."""
    made = [Another(url), Another(url)]
    yield made
    for other in made:
        other.stop()


@pytest.mark.parametrize("ends", [["-wal", "-shm"], ["-shm"], ["", "-wal", "-shm"], ["-wal", "-shm", ""]])
def test_processes_stay_one_panel_whatever_is_removed(
    opened: Open, url: str, path: Path, others: list[Another], ends: list[str]
) -> None:
    """Also if only some of them had the files open; nothing written afterwards is lost."""
    state, (one, later) = opened(url), others
    state.put("a", "text", 60)
    assert one.does("get a") == "text"
    for end in ends:
        path.with_name(path.name + end).unlink()
    later.does("put b")
    wait_for(lambda: state.get("b") == one.does("get b") == "text", "a look at the files", seconds=1)
    one.stop()
    state.put("c", "text", 60)
    assert later.does("get c") == "text"
    later.does("put d")
    assert state.get("d") == "text"


def test_a_file_that_is_replaced_while_it_is_opened_is_not_used(
    url: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever line of opening or writing: later writes go into the file that the others open."""
    # Nothing may come between the renames: SQLite would read a `-wal` made meanwhile as one of the new file.
    patience = 30
    monkeypatch.setattr(sqlite, "_LOOK_SECONDS", 0)

    def replace() -> None:
        made = tmp_path / "new.sqlite3"
        shutil.rmtree(tmp_path / "old", ignore_errors=True)
        (tmp_path / "old").mkdir()
        new = open_state(f"sqlite:///{made}")
        new.put("n", "new", 60)
        new.close()
        for file in path.parent.glob("state.sqlite3*"):
            file.rename(tmp_path / "old" / file.name)
        made.rename(path)

    for race in races("integrations.state.sqlite", patience=patience):
        state = open_state(url)

        def put(state: State = state) -> None:
            with suppress(StateError):  # it may fail once
                state.put("a", "text", 60)

        race(put, replace)
        assert state.get("n") == "new"
        state.put("z", "text", 60)
        later = open_state(url)
        assert later.get("z") == "text"
        later.close()
        state.close()


def test_a_check_uses_one_connection(url: str, path: Path) -> None:
    """At whatever line the file is removed."""
    for race in races("integrations.state.sqlite"):
        state = open_state(url)
        state.put("a", "text", 60)
        race(state.check, path.unlink)
        state.check()
        state.close()


def test_a_broken_connection_is_opened_again(opened: Open, url: str, path: Path) -> None:
    """An error that is neither a lock nor a full disk may be the connection's own."""
    state = opened(url)
    state.put("a", "text", 60)
    state._connection.close()  # type: ignore[attr-defined] # as after some errors of SQLite
    with pytest.raises(StateError):
        state.get("a")
    assert state.get("a") == "text"


FULL: Final = """
import pathlib, shutil, sys
from integrations.state import StateError, open_state
url, folder, fills, was_there = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "there"
if was_there:
    state = open_state(url)
    state.put("a", "text", 60)
    state.close()
filler = folder / "filler"
filler.mkdir()
try:
    for number in range(1_000):
        with (filler / str(number)).open("wb", buffering=0) as file:
            while fills == "blocks" and file.write(b"x" * 4096) == 4096:
                pass
except OSError as error:
    print(error.strerror)
state = open_state(url)
for call in (state.check, lambda: state.get("a"), lambda: state.put("b", "text", 60)):
    try:
        call()
    except StateError as error:
        print(type(error).__name__, error)
try:
    with state.lock("a", wait=0):
        pass
except StateError as error:
    print(type(error).__name__, error)
shutil.rmtree(filler)
state.check()
print(state.get("a"))
"""


@pytest.mark.parametrize(
    ("fills", "locks"), [("blocks", 0), ("inodes", 1)], ids=["no room", "no room for another file"]
)
@pytest.mark.parametrize("was", ["there", "not there"])
def test_a_disk_that_is_full_at_the_start_is_named(
    url: str, path: Path, fills: str, locks: int, was: str
) -> None:
    """On a real file system of one megabyte: the panel can start, and continues as soon as there is room."""
    mount = f'mount -t tmpfs -o size=1m,nr_inodes=30,mode=700 tmpfs "{path.parent}"; exec "$0" "$@"'
    done = subprocess.run(
        [*MOUNTS, mount, sys.executable, "-c", FULL, url, path.parent, fills, was],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    full = f"StateError {path}: the disk is full. Make room; the panel goes on by itself"
    begin, *said, end = done.stdout.splitlines()
    assert begin == "No space left on device"
    assert said == [full] * (3 + locks)
    assert end == ("text" if was == "there" else "None")
