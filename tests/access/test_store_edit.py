"""Changes to the store's file, by several writers at once and by killed ones."""

import os
import pwd
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import filelock
import pytest

from integrations.access import credentials, store_edit
from integrations.access.credentials import StoreContent, StoreError, StoreModeError, Token, User
from tests.access.test_credentials import as_nobody_special
from tests.conftest import HASHED, AddUser
from tests.state.conftest import MOUNTS

ADDS_FOR_EVER = """
import sys, itertools
from pathlib import Path
from integrations.access import store_edit
from integrations.access.credentials import User
path, prefix, hashed = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
user = User(password=hashed, roles=["viewer"])
for number in itertools.islice(itertools.count(), int(sys.argv[4]) or None):
    store_edit.change(path, lambda content: store_edit.with_user(content, f"{prefix}{number}", user))
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The store's path."""
    return tmp_path / "auth.yaml"


def start_writer(path: Path, prefix: str, times: int = 0) -> subprocess.Popen[str]:
    """Start a process that adds users one by one and prints the number of each."""
    command = [sys.executable, "-c", ADDS_FOR_EVER, str(path), prefix, HASHED, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_first_user_makes_the_store(path: Path, add_user: AddUser) -> None:
    """It begins with the roles admin, viewer and guest; file and lock are for their owner alone."""
    add_user("zoë", roles=["admin"])
    assert path.read_text(encoding="utf-8") == (
        "roles:\n  admin:\n  - '*'\n  viewer:\n  - integration:Read\n  guest: []\n"
        f"credentials:\n  usernames:\n    zoë:\n      password: {HASHED}\n      roles:\n      - admin\n"
    )
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    """So are the folders above it."""
    path = tmp_path / "deep" / "er" / "auth.yaml"
    store_edit.change(path, lambda content: content)
    assert credentials.read(path).users == {}


def test_reading_returns_what_was_written(path: Path) -> None:
    """In every field, hostile names and tokens included."""
    user = User(
        email="a@b.example", first_name="**admin** <script>", last_name=":red[x] #'\"", password=HASHED, roles=["admin"]
    )  # fmt: skip
    edited = store_edit.change(
        path,
        lambda content: store_edit.with_user(content, "null", user).model_copy(
            update={"tokens": {"monitor": Token(sha256="0" * 64, roles=["viewer"])}}
        ),
    )
    assert credentials.read(path) == edited
    assert credentials.read(path).users["null"] == user


def test_a_user_is_replaced_and_removed(path: Path, add_user: AddUser) -> None:
    """Replacing or removing one user leaves the others as they are."""
    add_user("alice", roles=["admin"])
    add_user("bob", roles=["viewer"])
    add_user("alice", roles=["viewer"])
    assert {name: user.roles for name, user in credentials.read(path).users.items()} == {
        "alice": ["viewer"],
        "bob": ["viewer"],
    }
    store_edit.change(path, lambda content: store_edit.without_user(content, "alice"))
    assert list(credentials.read(path).users) == ["bob"]


def _unknown_role(content: StoreContent) -> StoreContent:
    return store_edit.with_user(content, "eve", User(password=HASHED, roles=["boss"]))


def _bad_name(content: StoreContent) -> StoreContent:
    return store_edit.with_user(content, "Eve\n", User(password=HASHED, roles=[]))


@pytest.mark.parametrize("edit", [_unknown_role, _bad_name])
def test_a_change_that_would_break_the_store_is_not_made(
    path: Path, add_user: AddUser, edit: Callable[[StoreContent], StoreContent]
) -> None:
    """The file is unchanged byte for byte, and there is no new file next to it."""
    add_user("alice", roles=["admin"])
    before = path.read_bytes()
    with pytest.raises(StoreError):
        store_edit.change(path, edit)
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"auth.yaml", "auth.yaml.lock"}


def test_a_change_that_makes_the_store_too_large_is_not_made(
    path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store over 1 MiB could not be read again, and would lock everybody out."""
    add_user("alice", roles=["admin"])
    before = path.read_bytes()
    monkeypatch.setattr(store_edit, "MAX_BYTES", len(before))
    with pytest.raises(StoreError, match="not changed: it would be larger than 1 MiB"):
        add_user("bob", roles=["viewer"])
    assert path.read_bytes() == before


def test_a_store_that_is_mounted_without_its_folder_is_an_error_with_the_fix(
    path: Path, tmp_path: Path, add_user: AddUser
) -> None:
    """A mounted file cannot be replaced; a container may have only this file of the host."""
    add_user("alice", roles=["admin"])
    place = tmp_path / "mounted.yaml"
    place.touch(mode=0o600)
    mount = f'mount --bind "{path}" "{place}"; exec "$0" "$@"'
    command = [*MOUNTS, mount, sys.executable, "-c", ADDS_FOR_EVER, str(place), "bob", HASHED, "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    *_, last = done.stderr.splitlines()
    fix = "cannot be written: Device or resource busy. Mount its folder instead of the file"
    assert last.endswith(f" {place}: {fix}")
    assert list(credentials.read(path).users) == ["alice"]


def test_a_broken_store_is_not_overwritten(path: Path) -> None:
    """A command reports the defect and does not touch the file."""
    path.write_text("roles: [")
    path.chmod(0o600)
    with pytest.raises(StoreError, match=r"auth\.yaml:1: "):
        store_edit.change(path, lambda content: content)
    assert path.read_text() == "roles: ["


def test_a_store_that_others_may_access_is_not_written(path: Path, add_user: AddUser) -> None:
    """The command names the mode and the fix, and does not change the mode itself."""
    add_user("alice", roles=["admin"])
    path.chmod(0o644)
    with pytest.raises(StoreModeError, match="chmod 600"):
        add_user("bob", roles=["viewer"])


def test_a_link_stays_a_link(path: Path, tmp_path: Path, add_user: AddUser) -> None:
    """The file behind it is replaced; readers by either name see the change."""
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.yaml"
    path.symlink_to(real)
    add_user("alice", roles=["admin"])
    assert path.is_symlink()
    assert list(credentials.read(real).users) == ["alice"]


def test_a_full_disk_leaves_the_old_file(
    path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while writing is one line, and it leaves nothing in the store or the folder."""
    add_user("alice", roles=["admin"])

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        add_user("bob", roles=["viewer"])
    assert list(credentials.read(path).users) == ["alice"]
    assert not list(path.parent.glob("*.new"))


def test_the_new_file_is_on_disk_before_it_replaces_the_old_one(
    path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut there is the old file or the new one: sync the data, rename, sync the folder."""
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "data")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append("name")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    add_user("alice", roles=["admin"])
    assert steps == ["data", "name", "folder"]


def test_the_files_of_a_killed_command_do_not_block_the_next(path: Path, add_user: AddUser) -> None:
    """Neither a half-written file nor a lock file, though others may read them."""
    add_user("alice", roles=["admin"])
    Path(f"{path}.new").write_text("roles: [")
    Path(f"{path}.new").chmod(0o644)
    Path(f"{path}.lock").touch()
    add_user("bob", roles=["viewer"])
    assert list(credentials.read(path).users) == ["alice", "bob"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_planted_for_the_new_file_is_not_followed(
    path: Path, tmp_path: Path, add_user: AddUser
) -> None:
    """A link in place of the new file is replaced, and its target is not written."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(f"{path}.new").symlink_to(victim)
    add_user("alice", roles=["admin"])
    assert victim.read_text() == "precious"
    assert not path.is_symlink()


def test_a_lock_that_is_not_released_is_an_error(
    path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command waits for another one only so long."""
    monkeypatch.setattr(store_edit, "LOCK_SECONDS", 0.05)
    with filelock.FileLock(f"{path}.lock"), pytest.raises(StoreError, match="held the lock"):
        add_user("alice", roles=["admin"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_change_by_root_keeps_the_owner(path: Path, add_user: AddUser) -> None:
    """The new file has the owner of the old one, so that the panel can still read it."""
    add_user("alice", roles=["admin"])
    os.chown(path, 4711, 4712)
    add_user("bob", roles=["viewer"])
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_new_files_of_root_belong_to_the_panel(tmp_path: Path) -> None:
    """The first store, its lock and their folder get the owner of the folder above."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 4711, 4712)
    store_edit.change(home / ".streamlit" / "auth.yaml", lambda content: content)
    made = list(home.rglob("*"))
    assert {file.name for file in made} == {".streamlit", "auth.yaml", "auth.yaml.lock"}
    assert {(file.stat().st_uid, file.stat().st_gid) for file in made} == {(4711, 4712)}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_an_existing_file_keeps_its_owner(path: Path) -> None:
    """The owner of the folder could otherwise take any file by a link in place of the lock."""
    victim = path.with_name("victim")
    victim.touch(0o600)
    os.chown(path.parent, 4711, 4712)
    Path(f"{path}.lock").symlink_to(victim)
    with pytest.raises(StoreError):
        store_edit.change(path, lambda content: content)
    assert victim.stat().st_uid == 0


def test_concurrent_writers_lose_nothing(path: Path) -> None:
    """Four processes that add ten users each make forty users."""
    writers = [start_writer(path, prefix, 10) for prefix in "abcd"]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    expected = {f"{prefix}{number}" for prefix in "abcd" for number in range(10)}
    assert set(credentials.read(path).users) == expected


def test_writers_killed_in_the_middle_leave_a_whole_file(path: Path) -> None:
    """After a kill at any moment the store is whole, has every confirmed user, and can be written again."""
    random = Random(4)  # noqa: S311 - moments, not secrets
    confirmed: set[str] = set()
    for turn in range(6):
        writers = [start_writer(path, f"{prefix}{turn}-") for prefix in "ab"]
        select.select(
            [writer.stdout for writer in writers if writer.stdout], [], [], 30
        )  # until one of them has written
        time.sleep(random.uniform(0, 0.02))  # waits for no event: the moment of the kill is the test
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for prefix, writer in zip("ab", writers, strict=True):
            printed, _ = writer.communicate(timeout=10)
            confirmed |= {f"{prefix}{turn}-{number}" for number in printed.split()}
        assert confirmed <= set(credentials.read(path).users)
    last = start_writer(path, "last", 1)
    last.communicate(timeout=30)
    assert last.returncode == 0
    assert confirmed | {"last0"} <= set(credentials.read(path).users)
    assert not list(path.parent.glob("*.new"))


def test_the_error_about_a_store_of_another_user_names_its_owner(tmp_path: Path, add_user: AddUser) -> None:
    """A command run as the wrong user names the right one and changes nothing."""
    folder = tmp_path / "store"
    folder.mkdir(mode=0o500)
    owner = pwd.getpwuid(folder.stat().st_uid).pw_name
    with as_nobody_special(), pytest.raises(StoreError) as caught:
        store_edit.change(folder / "auth.yaml", lambda content: content)
    assert str(caught.value).endswith(f" belongs to {owner}: run this as {owner}")
    assert list(folder.iterdir()) == []
