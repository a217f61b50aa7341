"""What can happen to the state's file."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import filelock
import pytest
import time_machine

from integrations.state import State, StateError, StateFileError
from tests.state.conftest import MOUNTS, Open, error


@pytest.fixture
def url(path: Path) -> str:
    """Of the file."""
    return f"sqlite:///{path}"


@pytest.fixture
def state(url: str, opened: Open) -> State:
    """A state whose file holds one text."""
    state = opened(url)
    state.put("a", "text", 3600)
    return state


def refused(state: State, kind: type[StateError] = StateFileError) -> str:
    """What is said of a state that cannot be used; reading and checking agree."""
    with pytest.raises(kind) as checked:
        state.check()
    with pytest.raises(kind) as read:
        state.get("a")
    assert str(read.value) == str(checked.value)
    return str(read.value)


def test_nobody_else_may_read_any_file_of_it(state: State, path: Path) -> None:
    """Whatever the umask: the database, its log, its index and the locks."""
    old = os.umask(0)
    try:
        with state.lock("a", wait=0):
            state.put("b", "text", 60)
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert len(modes) == 5
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_file_that_others_may_read_is_refused(
    state: State, opened: Open, url: str, path: Path, suffix: str
) -> None:
    """The text names the file and the remedy, after which all goes on."""
    file = path.with_name(path.name + suffix)
    file.chmod(0o644)
    text = refused(opened(url))
    assert text == f"{file}: others may access it (mode 0644). Run: chmod 600 {file}"
    file.chmod(0o600)
    assert opened(url).get("a") == "text"


def test_a_file_that_becomes_readable_is_noticed(state: State, path: Path) -> None:
    """Not only at the start."""
    path.chmod(0o640)
    assert "mode 0640" in refused(state)
    path.chmod(0o600)
    assert state.get("a") == "text"


def test_a_lock_that_others_may_take_is_refused(state: State, path: Path) -> None:
    """Whoever can open it could hold it for ever."""
    with state.lock("a", wait=0):
        pass
    (lock,) = path.parent.glob("*.sqlite3.*.lock")
    lock.chmod(0o644)
    with pytest.raises(StateFileError, match="chmod 600"), state.lock("a", wait=0):
        pass


@pytest.mark.parametrize("with_its_log", [False, True])
def test_a_removed_file_begins_anew_for_all(
    state: State, opened: Open, url: str, path: Path, *, with_its_log: bool
) -> None:
    """Two that had it open share the new one, and nothing of the old one comes back."""
    other = opened(url)
    assert other.get("a") == "text"
    for file in path.parent.glob("state.sqlite3*") if with_its_log else [path]:
        file.unlink()
    state.put("b", "new", 60)
    assert other.items("") == {"b": "new"}
    other.put("c", "newer", 60)
    assert state.items("") == {"b": "new", "c": "newer"}
    assert opened(url).items("") == {"b": "new", "c": "newer"}


@pytest.mark.parametrize("content", [b"no database", os.urandom(8192)], ids=["short", "long"])
def test_a_file_of_another_kind_is_refused(opened: Open, url: str, path: Path, content: bytes) -> None:
    """It is left as it is, and once it is gone, all goes on."""
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


def test_a_damaged_file_is_refused_while_running(state: State, path: Path) -> None:
    """An error of the disk, an overwritten page; removing the file mends it without a restart."""
    for number in range(500):
        state.put(f"key {number}", "x" * 1000, 3600)
    state.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(StateFileError, match="damaged"):
        state.get("key 250")
    for file_ in path.parent.glob("state.sqlite3*"):
        file_.unlink()
    assert state.get("key 250") is None


def test_a_file_of_a_newer_version_is_refused(state: State, opened: Open, url: str, path: Path) -> None:
    """It is not changed: the newer version goes on with it."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert "made by a newer version of the panel" in refused(opened(url))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("missing", "No such file or directory"), ("file", "Not a directory")],
)
def test_a_folder_that_is_not_there_is_refused(
    opened: Open, tmp_path: Path, folder: str, reason: str
) -> None:
    """Nothing is made for a misspelt path."""
    (tmp_path / "file").touch()
    path = tmp_path / folder / "state.sqlite3"
    text = refused(opened(f"sqlite:///{path}"))
    assert text == (
        f"{path}: {reason}. Its folder must be there and the panel's user must be able to write into it"
    )


def test_a_folder_in_place_of_the_file_is_refused(opened: Open, url: str, path: Path) -> None:
    """A slip, or a mount that was meant for a file."""
    path.mkdir(mode=0o700)
    assert f"{path}: Is a directory" in refused(opened(url))


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that this process may read and not write to, with root's rights laid down."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_refused(opened: Open, read_only_folder: Path) -> None:
    """As a service sees it whose unit protects the system."""
    state = opened(f"sqlite:///{read_only_folder}/state.sqlite3")
    assert "Permission denied. Its folder must be there" in refused(state)
    with pytest.raises(StateFileError, match="Permission denied"), state.lock("a", wait=0):
        pass


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@needs_root
def test_what_root_makes_belongs_to_the_panel(opened: Open, tmp_path: Path) -> None:
    """All its files belong to whom their folder belongs: root's `integrations check` may be the first to need them."""
    os.chown(tmp_path, 4711, 4712)
    state = opened(f"sqlite:///{tmp_path}/state.sqlite3")
    state.check()
    with state.lock("a", wait=0):
        owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in tmp_path.iterdir()}
    assert len(owners) == 5
    assert set(owners.values()) == {(4711, 4712)}


@needs_root
@pytest.mark.parametrize("name", ["", "-wal", ".lock"])
def test_a_file_of_somebody_else_is_told_with_its_owner(
    opened: Open, read_only_folder: Path, name: str
) -> None:
    """Whichever of the files it is, with the command that gives it to the panel."""
    os.seteuid(0)
    os.chown(read_only_folder, 65534, 65534)
    read_only_folder.chmod(0o700)
    path = read_only_folder / "state.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    theirs = Path(f"{path}{name}")
    theirs.touch()
    theirs.chmod(0o600)
    os.chown(theirs, 0, 0)
    os.seteuid(65534)
    cure = f"{theirs} belongs to root. If nobody is the panel's user, run as root: chown nobody {theirs}"
    assert refused(opened(f"sqlite:///{path}")).endswith(f". {cure}")


FULL: Final = """
import resource, sys
from integrations.state import StateError, open_state
state = open_state(sys.argv[1])
state.put("a", "text", 60)
size = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
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
def test_when_no_more_can_be_written_reading_goes_on(url: str, path: Path) -> None:
    """And writing does so by itself once there is room."""
    code = FULL.replace("(size, size)", "(size, resource.RLIM_INFINITY)")
    done = subprocess.run(
        [sys.executable, "-c", code, url, "500000"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [f"{path}: disk I/O error", "text True", "text"]
    assert done.stderr.count("State: writing fails") == 1


SMALL: Final = """
import pathlib, sys
from integrations.state import StateError, open_state
state = open_state(sys.argv[1])
state.put("a", "text", 60)
filler = pathlib.Path(sys.argv[2]) / "filler"
try:
    with filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096) == 4096:
            pass
except OSError as error:
    print(error.strerror)
for _ in range(3):
    try:
        state.put("b", "x" * 20_000, 60)
    except StateError as error:
        print(error)
    print(state.get("a"))
filler.unlink()
state.put("b", "text", 60)
print(state.get("b"))
"""


def test_on_a_disk_without_room_reading_goes_on(url: str, path: Path) -> None:
    """A real file system of a megabyte, filled to its last byte by somebody else; with room, writing works again."""
    mount = f'mount -t tmpfs -o size=1m,mode=700 tmpfs "{path.parent}"; exec "$0" "$@"'
    done = subprocess.run(
        [*MOUNTS, mount, sys.executable, "-c", SMALL, url, path.parent],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    full = f"{path}: the disk is full. Make room; the panel goes on by itself"
    assert done.stdout.splitlines() == ["No space left on device", *[full, "text"] * 3, "text"]
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()].count("State") == 2


TAKE: Final = """
import sys
from integrations.state import StateError, open_state
one, other = (open_state(url) for url in sys.argv[1:])
try:
    one.put("a", "text", 60)
    print(other.get("a"), other.take("a"), one.get("a"))
    with one.lock("b", wait=0) as first, other.lock("b", wait=0) as second:
        print(first, second)
except StateError as error:
    print(error)
"""


def mounted_twice(what: str, place: Path, *, path: Path) -> list[str]:
    """What two panels say to each other whose files are one, by a mount of `what` at `place`."""
    elsewhere = place if place.name == path.name else place / path.name
    mount = f'mount --bind "{what}" "{place}"; exec "$0" "$@"'
    done = subprocess.run(
        [*MOUNTS, mount, sys.executable, "-c", TAKE, f"sqlite:///{path}", f"sqlite:///{elsewhere}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_a_folder_on_two_mounts_is_one_state(path: Path, tmp_path: Path) -> None:
    """As two containers of one machine see it."""
    place = tmp_path / "with a space"
    place.mkdir()
    assert mounted_twice(str(path.parent), place, path=path) == ["text text None", "True False"]


def test_a_file_that_is_mounted_by_itself_is_refused(path: Path, tmp_path: Path) -> None:
    """What SQLite keeps beside it would be two files, and the database damaged."""
    path.touch(mode=0o600)
    place = tmp_path / "with a space" / path.name
    place.parent.mkdir()
    place.touch(mode=0o600)
    said = mounted_twice(str(path), place, path=path)
    assert said == [f"{place}: mounted by itself. Mount its folder, which holds more files of it"]


def test_a_file_that_another_process_prepares_is_waited_for(opened: Open, url: str, path: Path) -> None:
    """SQLite itself does not wait there, and the first of two workers would find the state locked."""
    begun = time.monotonic()
    with (
        filelock.FileLock(f"{path}.lock", mode=0o600),
        pytest.raises(StateError, match=f"{path}: another program has kept it locked for 2 s"),
    ):
        opened(url).put("a", "text", 60)
    assert time.monotonic() - begun > 1.5


def test_a_check_waits_once_for_another_process_that_prepares_the_file(
    opened: Open, url: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two seconds, after which the panel starts; whoever comes in the next second does not wait."""
    state = opened(url)
    begun = time.monotonic()
    with filelock.FileLock(f"{path}.lock", mode=0o600):
        for text in (f"{path}: another program has kept it locked for 2 s", "not tried again yet"):
            with pytest.raises(StateError, match=text) as caught:
                state.check()
            assert not isinstance(caught.value, StateFileError)
    assert 1.5 < time.monotonic() - begun < 3
    assert [record.getMessage().partition(f": {path}")[0] for record in caplog.records] == [
        "State: writing fails"
    ]


def test_a_full_disk_is_named(state: State, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What SQLite says of a disk without room, made by its limit on pages."""
    state.run("writing", "PRAGMA max_page_count = 1")  # type: ignore[attr-defined] # of this engine alone
    for _ in range(3):
        with pytest.raises(StateError, match=f"{path}: the disk is full. Make room"):
            state.put("b", "x" * 100_000, 60)
        assert state.get("a") == "text"
        assert state.take("a") == "text"
        state.run("writing", "PRAGMA max_page_count = 1000000")  # type: ignore[attr-defined]
        state.put("a", "text", 60)
        state.run("writing", "PRAGMA max_page_count = 1")  # type: ignore[attr-defined]
    assert [record.levelname for record in caplog.records][:2] == ["ERROR", "WARNING"]


def test_a_foreign_lock_is_waited_for_two_seconds_and_once(state: State, path: Path) -> None:
    """Thirty viewers do not queue up behind it, and reading goes on."""
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


def test_whoever_opens_a_locked_file_waits_two_seconds_in_all(opened: Open, path: Path, url: str) -> None:
    """For another process that opens it and for another program that has it to itself: not two seconds for each."""
    before = opened(url)
    before.check()
    before.close()
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("PRAGMA locking_mode = EXCLUSIVE")
    foreign.execute("BEGIN IMMEDIATE")
    opening = filelock.FileLock(f"{path}.lock", thread_local=False)
    opening.acquire()
    threading.Timer(1.5, opening.release).start()
    begun = time.monotonic()
    assert "locked for 2 s" in error(opened(url))
    assert 1.5 < time.monotonic() - begun < 2.9
    foreign.close()


def test_what_has_ended_is_swept(opened: Open, url: str, path: Path) -> None:
    """The file does not grow with every sign-in that ever was; reading sweeps nothing."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        state = opened(url)
        state.put("a", "text", 60)
        state.attempts().acquire_entry("b", 5, 900)  # type: ignore[attr-defined] # of the moving window
        clock.shift(901)
        later = opened(url)
        later.get("a")
        assert rows(path) == [1, 1]
        later.put("c", "text", 60)
        assert rows(path) == [1, 0]


def rows(path: Path) -> list[int]:
    """How many rows each table has."""
    connection = sqlite3.connect(path)
    counts = [
        connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
        for table in ("texts", "attempts")
    ]
    connection.close()
    return counts


def test_a_clock_that_is_set_back_keeps_texts(opened: Open, url: str) -> None:
    """Longer by as much: a session, which must end, compares its own times."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        state = opened(url)
        state.put("a", "text", 60)
        clock.shift(-3600)
        assert state.get("a") == "text"
        clock.shift(3600 + 61)
        assert state.get("a") is None


FORK: Final = """
import os, sys
from integrations.state import open_state
state = open_state(sys.argv[1])
state.put("a", "text", 60)
child = os.fork()
if child == 0:
    state.put("b", state.get("a"), 60)
    state.close()
    os._exit(0)
print(os.waitpid(child, 0)[1], state.get("b"))
state.put("c", "text", 60)
"""


def test_a_forked_process_opens_the_file_itself(url: str, opened: Open) -> None:
    """SQLite forbids to carry a connection into another process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0 text\n", "")
    assert opened(url).items("") == {"a": "text", "b": "text", "c": "text"}


def test_a_restart_finds_everything(state: State, opened: Open, url: str) -> None:
    """That is what the file is for."""
    state.close()
    assert opened(url).get("a") == "text"
