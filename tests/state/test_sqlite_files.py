"""Access to the state's files, and what happens if they are removed, replaced or mounted."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from integrations.state import State, StateError, UnusableStateError, open_state
from tests.state.conftest import MOUNTS, Another, Open, refused
from tests.support.races import races

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def state(url: str, opened: Open) -> State:
    """A state whose file holds one text."""
    state = opened(url)
    state.put("a", "text", 3600)
    return state


def test_no_other_user_may_read_any_file_of_it(state: State, path: Path) -> None:
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
    """The error names the file and the fix, after which all works."""
    file = path.with_name(path.name + suffix)
    file.chmod(0o644)
    text = refused(opened(url))
    assert text == f"{file}: others may access it (mode 0644). Run: chmod 600 {file}"
    file.chmod(0o600)
    assert opened(url).get("a") == "text"


def test_a_mode_that_changes_is_noticed(state: State, path: Path) -> None:
    """Not only at the start."""
    path.chmod(0o640)
    assert "mode 0640" in refused(state)
    path.chmod(0o600)
    assert state.get("a") == "text"


def test_a_lock_that_others_may_take_is_refused(state: State, path: Path) -> None:
    """Another user could hold it for ever."""
    with state.lock("a", wait=0):
        pass
    (lock,) = path.parent.glob("*.sqlite3.*.lock")
    lock.chmod(0o644)
    with pytest.raises(UnusableStateError, match="chmod 600"), state.lock("a", wait=0):
        pass


@pytest.mark.parametrize("ends", [[""], ["", "-wal", "-shm"], ["-wal", "-shm", ""]])
def test_processes_stay_one_panel_if_the_file_is_removed(
    opened: Open, url: str, path: Path, others: list[Another], ends: list[str]
) -> None:
    """With or without the files beside it: all share the new file, and no old record comes back."""
    state, (one, later) = opened(url), others
    state.put("a", "text", 60)
    assert one.ask("state.get('a')") == "text"
    for end in ends:
        path.with_name(path.name + end).unlink()
    later.ask("state.put('b', 'text', 60)")
    assert one.ask("state.items('')") == "{'b': 'text'}"
    assert state.items("") == {"b": "text"}
    one.stop()
    state.put("c", "text", 60)
    assert later.ask("state.get('c')") == "text"
    later.ask("state.put('d', 'text', 60)")
    assert state.get("d") == "text"
    assert opened(url).items("") == {"b": "text", "c": "text", "d": "text"}


@pytest.mark.parametrize("replacement", ["none", "another file"])
def test_a_file_that_is_replaced_during_a_call_is_not_used(
    url: str, path: Path, tmp_path: Path, replacement: str
) -> None:
    """At whatever line of opening, writing or checking: later calls use the file that others open."""

    def replace() -> None:
        shutil.rmtree(tmp_path / "old", ignore_errors=True)
        (tmp_path / "old").mkdir()
        made = tmp_path / "new.sqlite3"
        if replacement == "another file":
            new = open_state(f"sqlite:///{made}")
            new.put("n", "new", 60)
            new.close()
        for file in path.parent.glob("state.sqlite3*"):
            file.rename(tmp_path / "old" / file.name)
        if replacement == "another file":
            made.rename(path)

    for race in races("integrations.state.sqlite", patience=30):  # nothing may come between the renames
        state = open_state(url)

        def use(state: State = state) -> None:
            with suppress(StateError):  # this call may fail
                state.put("a", "text", 60)
                state.check()

        race(use, replace)
        state.put("z", "text", 60)
        later = open_state(url)
        assert later.get("z") == "text"
        assert replacement == "none" or later.get("n") == "new"
        later.close()
        state.close()


@pytest.mark.parametrize(
    ("folder", "reason"), [("missing", "No such file or directory"), ("file", "Not a directory")]
)
def test_a_missing_folder_is_refused(opened: Open, tmp_path: Path, folder: str, reason: str) -> None:
    """A misspelt path creates nothing."""
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
    """A folder that this process may read and not write to; root becomes another user for the test."""
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
    """As a service sees it if its unit protects the system."""
    state = opened(f"sqlite:///{read_only_folder}/state.sqlite3")
    assert "Permission denied. Its folder must be there" in refused(state)
    with pytest.raises(UnusableStateError, match="Permission denied"), state.lock("a", wait=0):
        pass


@needs_root
def test_files_that_root_makes_belong_to_the_panel(opened: Open, tmp_path: Path) -> None:
    """They get the owner of their folder: root's `integrations check` may be the first to need them."""
    os.chown(tmp_path, 4711, 4712)
    state = opened(f"sqlite:///{tmp_path}/state.sqlite3")
    state.check()
    with state.lock("a", wait=0):
        owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in tmp_path.iterdir()}
    assert len(owners) == 5
    assert set(owners.values()) == {(4711, 4712)}


@needs_root
def test_a_file_of_another_user_is_reported_with_its_owner(opened: Open, read_only_folder: Path) -> None:
    """With the command that gives it to the panel."""
    os.seteuid(0)
    os.chown(read_only_folder, 65534, 65534)
    read_only_folder.chmod(0o700)
    theirs = read_only_folder / "state.sqlite3.lock"
    theirs.touch(mode=0o600)
    os.seteuid(65534)
    text = refused(opened(f"sqlite:///{read_only_folder}/state.sqlite3"))
    assert f". {theirs} belongs to root. " in text
    assert text.endswith(f"run as root: chown nobody {theirs}")


USE_BOTH: Final = """
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


def mounted_twice(source: Path, target: Path, *, path: Path) -> list[str]:
    """Return the output of two panels whose files are one, by a mount of `source` at `target`."""
    elsewhere = target if target.name == path.name else target / path.name
    mount = f'mount --bind "{source}" "{target}"; exec "$0" "$@"'
    done = subprocess.run(
        [*MOUNTS, mount, sys.executable, "-c", USE_BOTH, f"sqlite:///{path}", f"sqlite:///{elsewhere}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_a_folder_on_two_mounts_is_one_state(path: Path, tmp_path: Path) -> None:
    """As two containers of one machine see it."""
    target = tmp_path / "with a space"
    target.mkdir()
    assert mounted_twice(path.parent, target, path=path) == ["text text None", "True False"]


def test_a_file_that_is_mounted_without_its_folder_is_refused(path: Path, tmp_path: Path) -> None:
    """The files that SQLite keeps beside it would exist twice, and damage it."""
    path.touch(mode=0o600)
    target = tmp_path / "with a space" / path.name
    target.parent.mkdir()
    target.touch(mode=0o600)
    said = mounted_twice(path, target, path=path)
    assert said == [f"{target}: mounted by itself. Mount its folder, which holds more files of it"]
