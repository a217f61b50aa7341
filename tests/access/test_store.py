"""The YAML credential/role store: one defect of any kind, and nobody gets in."""

import errno
import logging
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrations.access import Authenticator, SignInRefused, store
from integrations.access.store import (
    Store,
    StoreContent,
    StoreError,
    StoreMissingError,
    StoreModeError,
    StoreUnreachableError,
)
from integrations.settings import panel_settings
from tests.conftest import HASHED, PASSWORD
from tests.support.races import races

DIGEST = "ab" * 32
GOOD = f"""\
roles:
  admin: ["*"]
  viewer: []
credentials:
  usernames:
    alice:
      email: alice@example.com
      first_name: Alice
      last_name: Ng
      password: {HASHED}
      roles: [admin]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "auth.yaml"


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Put a store in place, as an editor that replaces the file does."""
    new = path.with_suffix(".edited")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.chmod(mode)
    new.replace(path)


def refused(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Show that nobody gets in, and give the one line that the log has of it."""
    caplog.clear()
    authenticator = Authenticator(panel_settings())
    for _ in range(3):
        assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
        assert not authenticator.available()
    (record,) = caplog.records
    line = record.getMessage()
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert "\n" not in line
    assert line.startswith(f"The sign-in store cannot be used: {path}: ")
    assert HASHED not in line
    assert HASHED[7:] not in line
    return line.removeprefix(f"The sign-in store cannot be used: {path}: ")


def test_a_good_store_is_read(path: Path) -> None:
    """Names, roles and hashes are read as the file has them."""
    write(path, GOOD)
    content = store.read(path)
    assert content.roles == {"admin": ["*"], "viewer": []}
    assert list(content.users) == ["alice"]
    assert content.users["alice"].password == HASHED
    assert content.highest_cost == 12


@pytest.mark.parametrize(
    "start", ["\N{ZERO WIDTH NO-BREAK SPACE}", "---\n", "%YAML 1.1\n---\n", "# people\n"]
)
def test_what_editors_add_does_no_harm(path: Path, start: str) -> None:
    """A byte order mark, a document's start and a comment are accepted."""
    write(path, start + GOOD)
    assert list(store.read(path).users) == ["alice"]


def change(old: str, new: str) -> str:
    """The good store with one thing changed."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


NAMED = "credentials.usernames.alice"
NO_LINE = "holds a line break or another control character"
NO_NAME = "a name is printable, in lower case, without spaces around it"
NO_DIGEST = "tokens.monitor.sha256: not a SHA-256 in hexadecimal"
BROKEN: dict[str, tuple[str, str | bytes]] = {
    "not YAML": ("line 1: ", "roles: [admin: {"),
    "tabs": ("line 2: a tab: indent with spaces", GOOD.replace("  admin", "\tadmin")),
    "empty": ("the file is empty", ""),
    "only a comment": ("the file is empty", "# nothing yet\n"),
    "a word": ("names with values below them", "hello"),
    "a list on top": ("names with values below them", f"- {HASHED}\n"),
    "two documents": ("line 12: ", GOOD + "---\n" + GOOD),
    "no usernames": ("credentials.usernames: Field required", "roles: {}\ncredentials: {}\n"),
    "no credentials": ("credentials: Field required", "roles: {}\n"),
    "no roles": ("roles: Field required", "credentials: {usernames: {}}\n"),
    "usernames a list": ("credentials.usernames: ", "roles: {}\ncredentials: {usernames: [alice]}\n"),
    "integer username": ("credentials.usernames.4711.", change("alice:", "4711:")),
    "boolean username": ("credentials.usernames.", change("alice:", "true:")),
    "username in capitals": (f"credentials.usernames.Alice.[key]: {NO_NAME}", change("alice:", "Alice:")),
    "username with a space": ("credentials.usernames.alice .", change("alice:", "'alice ':")),
    "username with a line break": ("credentials.usernames.alice�b.", change("alice:", '"alice\\nb":')),
    "empty username": ("credentials.usernames..", change("alice:", "'':")),
    "long username": ("credentials.usernames.", change("alice:", f"{'a' * 65}:")),
    "integer password": ("credentials.usernames.alice.password: ", change(HASHED, "123456789012")),
    "plain-text password": ("credentials.usernames.alice.password: not a bcrypt hash", change(HASHED, PASSWORD)),
    "truncated hash": ("credentials.usernames.alice.password: not a bcrypt hash", change(HASHED, HASHED[:-1])),
    "a hash that takes days": ("credentials.usernames.alice.password: ", change("$2b$12$", "$2b$31$")),
    "missing password": ("credentials.usernames.alice.password: Field required", change("password: ", "# ")),
    "null password": ("credentials.usernames.alice.password: ", change(HASHED, "")),
    "hash in the wrong place": ("credentials.usernames.alice.password: ", change(HASHED, f"{{{HASHED}: 1}}")),
    "hash as a key": ("credentials.usernames.alice.…: not used", change("email: alice@example.com", f"{HASHED}: 1")),
    "hash as a user": ("credentials.usernames.…[key]: ", change("alice:", f"{HASHED}:")),
    "unknown role": ("credentials.usernames.'alice'.roles: unknown role 'boss'", change("[admin]", "[boss]")),
    "role not in a list": ("credentials.usernames.alice.roles: ", change("[admin]", "admin")),
    "unknown key of a user": ("credentials.usernames.alice.phone: not used", change("email", "phone")),
    "unknown key on top": ("cookie: not used", GOOD + "cookie: {}\n"),
    "a user twice": ("line 12: the key 'alice' stands twice", GOOD + "    alice: {roles: []}\n"),
    "a key twice": ("line 9: the key 'email' stands twice", change("last_name", "email")),
    "a list as a key": ("line 3: ", change("viewer", "? [a]\n  ")),
    "wrong permission": ("roles.admin.0: not a permission", change('"*"', "integration:read")),
    "permission of no resource": ("roles.admin.0: not a permission", change('"*"', '"*:Read"')),
    "permission not in a list": ("roles.admin: ", change('["*"]', "'*'")),
    "short digest of a token": (NO_DIGEST, GOOD + "tokens: {monitor: {sha256: abc, roles: []}}\n"),
    "digest in capitals": (NO_DIGEST, GOOD + f"tokens: {{monitor: {{sha256: {DIGEST.upper()}, roles: []}}}}\n"),
    "digest of other letters": (NO_DIGEST, GOOD + f"tokens: {{monitor: {{sha256: {'X' * 64}, roles: []}}}}\n"),
    "token with an unknown role": (
        "tokens.'monitor'.roles: unknown role 'x'",
        GOOD + f"tokens: {{monitor: {{sha256: {DIGEST}, roles: [x]}}}}\n",
    ),
    "e-mail with a line break": (f"{NAMED}.email: {NO_LINE}", change("alice@example.com", '"a\\nb"')),
    "name with an escape": (f"{NAMED}.first_name: {NO_LINE}", change("Alice", '"\\e[31m"')),
    "name with a line separator": (f"{NAMED}.last_name: {NO_LINE}", change(": Ng", ': "\\u2028"')),
    "name with a paragraph separator": (f"{NAMED}.last_name: {NO_LINE}", change(": Ng", ': "\\u2029"')),
    "name with half a character": (f"{NAMED}.last_name: Input should be a valid string", change(": Ng", ': "\\ud800"')),
    "alias": ("line 3: an alias is not possible", GOOD.replace('["*"]', '&all ["*"]').replace("[]", "*all")),
    "alias bomb": (
        "line 2: an alias is not possible",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{k}: &{k} [{', '.join(['*' + chr(ord(k) - 1)] * 9)}]\n" for k in "bcdefghi"),
    ),
    "alias of itself": ("line 1: an alias is not possible", "roles: &r [*r]\n"),
    "merge key": ("line 12: an alias", GOOD.replace("alice:", "alice: &a") + "    bob: {<<: *a}\n"),
    "a tag for Python": ("line 1: ", "!!python/object/apply:os.system ['true']\n"),
    "a date that no calendar has": ("line 7: not a value", change("alice@example.com", "2020-99-99")),
    "NUL": ("character 3: ", "ro\0les: {}\n"),
    "deeply nested": ("too deeply nested", "[" * 50_000),
    "UTF-16": ("byte 1: not UTF-8", GOOD.encode("utf-16")),
    "Latin-1": ("byte 124: not UTF-8", change("Alice", "Zoë").encode("latin-1")),
    "larger than 1 MiB": ("larger than 1 MiB", GOOD + "# " + "x" * 2**20),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_store_keeps_everybody_out_and_says_where(
    kind: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gets in, and the log has one line with the place and the reason, without a hash or a value."""
    expected, text = BROKEN[kind]
    write(path, text)
    line = refused(path, caplog)
    assert line.startswith(expected)
    assert PASSWORD not in line


def _directory(path: Path) -> None:
    path.mkdir(mode=0o700)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)  # relative, and we are in its folder: a socket's path is short


def _to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere.yaml")


def _to_itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("expected", "make"),
    [
        ("Is a directory", _directory),
        ("not a file", _pipe),
        ("", _socket),
        ("there is no store yet", _to_nowhere),
        ("Too many levels of symbolic links", _to_itself),
    ],
)
def test_what_is_no_file_keeps_everybody_out(
    expected: str, make: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory, a pipe (which would be waited for), a socket or a dead link is refused at once."""
    make(path)
    assert refused(path, caplog).startswith(expected)


def test_an_unreadable_file_keeps_everybody_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file without read permission is refused, and the log says so."""
    write(path, GOOD, mode=0o000)
    panel_settings()  # read, and kept, while `.env` can be looked for
    with as_nobody_special():
        assert re.fullmatch(r"Permission denied\. \S+ belongs to \S+: run this as \S+", refused(path, caplog))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("owner", "says"), [(0, "belongs to root. Where "), (4711, "belongs to 4711: run this as 4711. Where ")]
)
def test_a_file_of_somebody_else_is_told_with_its_owner(owner: int, says: str) -> None:
    """With the command that gives it to the panel; nobody is told to run the panel as root."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "auth.yaml"
        write(path, GOOD)
        os.chown(path, owner, owner)
        path.parent.chmod(0o755)
        with as_nobody_special(), pytest.raises(StoreError) as caught:
            store.read(path)
        cure = f"nobody is the panel's user, run as root: chown nobody {path}"
        assert str(caught.value) == f"{path}: Permission denied. {path} {says}{cure}"


@contextmanager
def as_nobody_special() -> Iterator[None]:
    """Root reads everything, so it is somebody else meanwhile."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o640, 0o602, 0o601, 0o777])
def test_a_file_that_others_may_access_keeps_everybody_out(
    mode: int, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Others could add an admin or guess passwords offline; the log names the command that mends it."""
    write(path, GOOD, mode=mode)
    with pytest.raises(StoreModeError):
        store.read(path)
    assert refused(path, caplog) == f"others may access it (mode {mode:04o}). Run: chmod 600 {path}"


def test_without_a_store_the_log_says_how_to_make_one(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The line in the log names the command that adds the first user."""
    with pytest.raises(StoreMissingError):
        store.read(path)
    assert "integrations users add NAME --role admin" in refused(path, caplog)


def test_a_link_to_the_store_is_followed(path: Path, tmp_path: Path) -> None:
    """The file behind a link is read, and its mode counts."""
    write(tmp_path / "real.yaml", GOOD)
    path.symlink_to("real.yaml")
    assert list(store.read(path).users) == ["alice"]
    (tmp_path / "real.yaml").chmod(0o644)
    with pytest.raises(StoreModeError):
        store.read(path)


def test_a_change_is_seen_at_the_next_read(path: Path) -> None:
    """A file that was added, removed, replaced or edited in place is read without a restart."""
    write(path, GOOD)
    kept = Store(path)
    assert list(kept.content().users) == ["alice"]
    write(path, GOOD.replace("alice:", "carol:"))  # as many bytes as before
    assert list(kept.content().users) == ["carol"]
    with path.open("a") as file:
        file.write(f"    dave: {{password: {HASHED}, roles: []}}\n")
    assert list(kept.content().users) == ["carol", "dave"]


def test_a_file_that_did_not_change_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of an unchanged store costs one `stat`."""
    write(path, GOOD)
    kept = Store(path)
    first = kept.content()
    monkeypatch.setattr(store, "read", lambda _path: pytest.fail("read again"))
    assert kept.content() is first


def test_a_store_that_breaks_while_running_lets_nobody_in_until_it_is_mended(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change is logged once, however often the store is read; no restart is needed."""
    write(path, GOOD)
    kept = Store(path)
    kept.content()
    damages: tuple[Callable[[], None], ...] = (
        lambda: write(path, "roles: ["),
        lambda: path.chmod(0o644),
        path.unlink,
    )
    for damage in damages:
        caplog.clear()
        damage()
        for _ in range(3):
            with pytest.raises(StoreError):
                kept.content()
        assert len(caplog.records) == 1
        write(path, GOOD)
        assert list(kept.content().users) == ["alice"]


def test_a_change_is_read_once_whoever_asks_meanwhile(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever line another thread asks, both get what the file holds now, of one reading."""
    write(path, GOOD)
    now = store.read(path)
    readings: list[Path] = []

    def counted(where: Path) -> StoreContent:
        readings.append(where)
        return now

    monkeypatch.setattr(store, "read", counted)
    for race in races("integrations.access.store"):
        readings.clear()
        kept = Store(path)
        assert race(kept.content, kept.content) == (now, now)
        assert readings == [path]


def test_hashes_are_not_in_what_is_printed(path: Path) -> None:
    """The repr of the content holds neither a user's hash nor a token's digest."""
    write(path, GOOD + f"tokens: {{monitor: {{sha256: {DIGEST}, roles: []}}}}\n")
    printed = repr(store.read(path))
    assert HASHED not in printed
    assert DIGEST not in printed
    assert "alice@example.com" in printed


@pytest.mark.parametrize(
    ("name", "typed"), [("alice", " Alice "), ("josé", "JOSE\N{COMBINING ACUTE ACCENT}"), ("a", "a")]
)
def test_a_name_is_found_however_it_is_typed(name: str, typed: str) -> None:
    """Case, spaces around a name and the way of composing accents make no other user."""
    assert store.normal_name(typed) == name


@pytest.mark.parametrize("failure", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ESTALE])
def test_a_failure_of_the_system_is_not_kept_as_the_stores(
    path: Path, monkeypatch: pytest.MonkeyPatch, failure: int
) -> None:
    """The file changes while no descriptor is left, say: when one is, the next look reads it, untouched as it is."""
    store = Store(path)
    write(path, GOOD)
    store.content()
    write(path, GOOD + "\n")

    def fail(*_: object) -> int:
        raise OSError(failure, os.strerror(failure))

    with monkeypatch.context() as without_descriptors:
        without_descriptors.setattr(os, "open", fail)
        for _ in range(2):
            with pytest.raises(StoreUnreachableError, match=re.escape(os.strerror(failure))):
                store.content()
    assert "alice" in store.content().users


def test_a_fault_of_the_file_itself_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a change of the file mends it, so nothing is read again before."""
    store, opened = Store(path), list[str]()
    write(path, GOOD)

    def refuse(name: str, *_: object) -> int:
        opened.append(name)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(3):
        with pytest.raises(StoreError, match="Permission denied"):
            store.content()
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty. Remove it, then make the first user: "),
        ("# nothing yet\n", "the file is empty. "),
        ("roles:\n  admin: [*]\n", 'line 2: a * needs quotes around it: "*"'),
        ("roles:\n  admin: *\n", 'line 2: a * needs quotes around it: "*"'),
        ("roles:\n\tadmin: []\n", "line 2: a tab: indent with spaces"),
        ("alice\n", "names with values below them are expected here"),
        ("roles: {}\ncredentials: []\n", "credentials: names with values below them are expected here"),
        (
            (
                "cookie: {name: x, key: test-cookie-key, expiry_days: 1}\npre-authorized: {emails: []}\n"
                "credentials: {usernames: {}}\n"
            ),
            "cookie, pre-authorized: not used by the panel. Take them out",
        ),
        (
            "roles: {}\ncookie: {}\ncredentials: {usernames: {}}\n",
            "cookie: not used by the panel. Take it out",
        ),
    ],
)
def test_a_usual_slip_is_told_in_plain_words(text: str, says: str) -> None:
    """What is wrong and what to do; another program's file loses what is not ours, named all at once."""
    with pytest.raises(StoreError) as caught:
        store.parse(text)
    assert str(caught.value).startswith(says)
    assert "test-cookie-key" not in str(caught.value)
