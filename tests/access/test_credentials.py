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

from integrations.access import Authenticator, SignInRefused, credentials
from integrations.access.credentials import (
    CredentialStore,
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
    """The store's path."""
    return tmp_path / "auth.yaml"


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a store as an editor does that replaces the file."""
    new = path.with_suffix(".edited")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.chmod(mode)
    new.replace(path)


def refused(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Check that nobody gets in, and return the log's only line after the store's path."""
    caplog.clear()
    authenticator = Authenticator(panel_settings())
    for _ in range(3):
        assert authenticator.sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    (record,) = caplog.records
    line = record.getMessage()
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert "\n" not in line
    assert line.startswith(f"The sign-in store cannot be used: {path}:")
    assert HASHED not in line
    assert HASHED[7:] not in line
    return line.removeprefix(f"The sign-in store cannot be used: {path}:")


def test_a_good_store_is_read(path: Path) -> None:
    """Names, roles and hashes are read as the file has them."""
    write(path, GOOD)
    content = credentials.read(path)
    assert content.roles == {"admin": ["*"], "viewer": []}
    assert list(content.users) == ["alice"]
    assert content.users["alice"].password == HASHED
    assert content.highest_cost == 4


@pytest.mark.parametrize(
    "start", ["\N{ZERO WIDTH NO-BREAK SPACE}", "---\n", "%YAML 1.1\n---\n", "# people\n"]
)
def test_additions_of_editors_do_no_harm(path: Path, start: str) -> None:
    """A byte order mark, a document's start and a comment are accepted."""
    write(path, start + GOOD)
    assert list(credentials.read(path).users) == ["alice"]


def change(old: str, new: str) -> str:
    """Return the good store with one change."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


ALICE = "credentials.usernames.alice"
EMPTY = "1: the file is empty. Remove it, then make the first user: "
USERS = "expected users by name, each name of 1 to 64 characters"
NAME = "expected a name in lower case, printable, without spaces around it"
BCRYPT = "expected a bcrypt hash with a work factor from 04 to 16"
DIGITS = "expected a SHA-256 as 64 hexadecimal digits in lower case"
PERMISSIONS = 'expected roles by name, each with a list of permissions: resource:Action, resource:* or "*"'
EMAIL = "expected one line, up to 254 characters"
LINE = "expected one line, up to 100 characters"
BROKEN: dict[str, tuple[str, str | bytes]] = {
    "not YAML": ("1: ", "roles: [admin: {"),
    "tabs": ("2: a tab: indent with spaces", GOOD.replace("  admin", "\tadmin")),
    "a star without quotes": ('2: a * needs quotes around it: "*"', change('"*"', "*")),
    "empty": (EMPTY, ""),
    "only a comment": (EMPTY, "# nothing yet\n"),
    "a word": ("1: expected roles, credentials, tokens", "hello"),
    "a list on top": ("1: expected roles, credentials, tokens", f"- {HASHED}\n"),
    "two documents": ("12: ", GOOD + "---\n" + GOOD),
    "no usernames": (f"2: credentials.usernames: missing: {USERS}", "roles: {}\ncredentials: {}\n"),
    "no credentials": ("1: credentials: missing: expected the key usernames", "roles: {}\n"),
    "no roles": (f"1: roles: missing: {PERMISSIONS}", "credentials: {usernames: {}}\n"),
    "usernames a list": (f"2: credentials.usernames: {USERS}", "roles: {}\ncredentials: {usernames: [alice]}\n"),
    "integer username": (f"6: credentials.usernames[4711]: {USERS}", change("alice:", "4711:")),
    "boolean username": ("6: credentials.usernames", change("alice:", "true:")),
    "username in capitals": (f"6: credentials.usernames.Alice: {NAME}", change("alice:", "Alice:")),
    "username with a space": (f"6: credentials.usernames.alice : {NAME}", change("alice:", "'alice ':")),
    "username with a line break": (f"6: credentials.usernames.alice�b: {NAME}", change("alice:", '"alice\\nb":')),
    "empty username": (f"6: credentials.usernames.: {USERS}", change("alice:", "'':")),
    "long username": (f"6: credentials.usernames.…: {USERS}", change("alice:", f"{'a' * 65}:")),
    "integer password": (f"10: {ALICE}.password: {BCRYPT}", change(HASHED, "123456789012")),
    "plain-text password": (f"10: {ALICE}.password: {BCRYPT}", change(HASHED, PASSWORD)),
    "truncated hash": (f"10: {ALICE}.password: {BCRYPT}", change(HASHED, HASHED[:-1])),
    "hash and a line end": (f"10: {ALICE}.password: {BCRYPT}", change(HASHED, f'"{HASHED}\\n"')),
    "a hash that takes days": (f"10: {ALICE}.password: {BCRYPT}", change("$2b$04$", "$2b$31$")),
    "missing password": (f"6: {ALICE}.password: missing: {BCRYPT}", change("password: ", "# ")),
    "null password": (f"10: {ALICE}.password: {BCRYPT}", change(HASHED, "")),
    "hash in the wrong place": (f"10: {ALICE}.password: {BCRYPT}", change(HASHED, f"{{{HASHED}: 1}}")),
    "hash as a key": (f"7: {ALICE}.…: unknown key: ", change("email: alice@example.com", f"{HASHED}: 1")),
    "hash as a user": (f"6: credentials.usernames.…: {NAME}", change("alice:", f"{HASHED}:")),
    "unknown role": (
        f"11: {ALICE}.roles[0]: unknown role 'boss': expected one of admin, viewer",
        change("[admin]", "[boss]"),
    ),
    "role not in a list": (f"11: {ALICE}.roles: expected a list of roles, [] for none", change("[admin]", "admin")),
    "unknown key of a user": (f"7: {ALICE}.phone: unknown key: expected one of email, ", change("email", "phone")),
    "another program's key": (
        "12: cookie: unknown key: expected one of roles, credentials, tokens",
        GOOD + "cookie: {key: test-cookie-key}\n",
    ),
    "a user twice": ("12: the key 'alice' occurs twice", GOOD + "    alice: {roles: []}\n"),
    "a key twice": ("9: the key 'email' occurs twice", change("last_name", "email")),
    "a list as a key": ("3: ", change("viewer", "? [a]\n  ")),
    "wrong permission": (f"2: roles.admin[0]: {PERMISSIONS}", change('"*"', "integration:read")),
    "permission of no resource": (f"2: roles.admin[0]: {PERMISSIONS}", change('"*"', '"*:Read"')),
    "permission and more": (f"2: roles.admin[0]: {PERMISSIONS}", change('"*"', '"a:*, *"')),
    "permission not in a list": (f"2: roles.admin: {PERMISSIONS}", change('["*"]', "'*'")),
    "short digest of a token": (
        f"12: tokens.monitor.sha256: {DIGITS}",
        GOOD + "tokens: {monitor: {sha256: abc, roles: []}}\n",
    ),
    "digest in capitals": (
        f"12: tokens.monitor.sha256: {DIGITS}",
        GOOD + f"tokens: {{monitor: {{sha256: {DIGEST.upper()}, roles: []}}}}\n",
    ),
    "token with an unknown role": (
        "14: tokens.monitor.roles[1]: unknown role 'x': expected one of admin, viewer",
        GOOD + f"tokens:\n  monitor: {{sha256: {DIGEST}, roles: [admin,\n    x]}}\n",
    ),
    "e-mail with a line break": (f"7: {ALICE}.email: {EMAIL}", change("alice@example.com", '"a\\nb"')),
    "name with an escape": (f"8: {ALICE}.first_name: {LINE}", change("Alice", '"\\e[31m"')),
    "name with a line separator": (f"9: {ALICE}.last_name: {LINE}", change(": Ng", ': "\\u2028"')),
    "name with a paragraph separator": (f"9: {ALICE}.last_name: {LINE}", change(": Ng", ': "\\u2029"')),
    "name with half a character": (f"9: {ALICE}.last_name: {LINE}", change(": Ng", ': "\\ud800"')),
    "alias": ("3: an alias is not possible", GOOD.replace('["*"]', '&all ["*"]').replace("[]", "*all")),
    "alias bomb": (
        "2: an alias is not possible",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{k}: &{k} [{', '.join(['*' + chr(ord(k) - 1)] * 9)}]\n" for k in "bcdefghi"),
    ),
    "alias of itself": ("1: an alias is not possible", "roles: &r [*r]\n"),
    "merge key": ("12: an alias", GOOD.replace("alice:", "alice: &a") + "    bob: {<<: *a}\n"),
    "a tag for Python": ("1: ", "!!python/object/apply:os.system ['true']\n"),
    "a date that does not exist": ("7: not a value", change("alice@example.com", "2020-99-99")),
    "NUL": (" character 3: ", "ro\0les: {}\n"),
    "deeply nested": (" too deeply nested", "[" * 50_000),
    "UTF-16": (" byte 1: not UTF-8", GOOD.encode("utf-16")),
    "Latin-1": (" byte 124: not UTF-8", change("Alice", "Zoë").encode("latin-1")),
    "larger than 1 MiB": (" larger than 1 MiB", GOOD + "# " + "x" * 2**20),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_store_keeps_everybody_out_and_its_defect_is_logged_with_its_line(
    kind: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`FILE:LINE: place: expected …`, without a hash, a password or another value."""
    expected, text = BROKEN[kind]
    write(path, text)
    line = refused(path, caplog)
    assert line.startswith(expected)
    assert PASSWORD not in line
    assert "test-cookie-key" not in line


def test_all_defects_are_reported_at_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A command prints one line for each; the log has them in one line."""
    write(path, GOOD.replace("[]", "viewer").replace("email", "mail"))
    with pytest.raises(StoreError) as caught:
        credentials.read(path)
    first, second = str(caught.value).splitlines()
    assert first == f"{path}:3: roles.viewer: {PERMISSIONS}"
    assert second.startswith(f"{path}:7: {ALICE}.mail: unknown key: ")
    assert refused(path, caplog) == f"{first}; {second}".removeprefix(f"{path}:")


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
        (" Is a directory", _directory),
        (" not a file", _pipe),
        ("", _socket),
        (" there is no store yet", _to_nowhere),
        (" Too many levels of symbolic links", _to_itself),
    ],
)
def test_a_path_that_is_no_file_keeps_everybody_out(
    expected: str, make: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory, a pipe (without waiting for its writer), a socket or a dead link is refused at once."""
    make(path)
    assert refused(path, caplog).startswith(expected)


def test_an_unreadable_file_keeps_everybody_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file without read permission is refused, and the log names its owner."""
    write(path, GOOD, mode=0o000)
    panel_settings()  # read and cached while the folder is accessible
    with as_nobody_special():
        assert re.fullmatch(
            r" Permission denied\. \S+ belongs to \S+: run this as \S+", refused(path, caplog)
        )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("owner", "hint"), [(0, "belongs to root. If "), (4711, "belongs to 4711: run this as 4711. If ")]
)
def test_the_error_about_a_file_of_another_user_names_its_owner(owner: int, hint: str) -> None:
    """With the command that gives it to the panel; it never advises to run the panel as root."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "auth.yaml"
        write(path, GOOD)
        os.chown(path, owner, owner)
        path.parent.chmod(0o755)
        with as_nobody_special(), pytest.raises(StoreError) as caught:
            credentials.read(path)
        fix = f"nobody is the panel's user, run as root: chown nobody {path}"
        assert str(caught.value) == f"{path}: Permission denied. {path} {hint}{fix}"


@contextmanager
def as_nobody_special() -> Iterator[None]:
    """Run as another user: root can read everything."""
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
    """Others could add an admin or guess passwords offline; the log names the command that closes the file."""
    write(path, GOOD, mode=mode)
    with pytest.raises(StoreModeError):
        credentials.read(path)
    assert refused(path, caplog) == f" others may access it (mode {mode:04o}). Run: chmod 600 {path}"


def test_without_a_store_the_log_names_the_command_that_makes_one(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It adds the first user."""
    with pytest.raises(StoreMissingError):
        credentials.read(path)
    assert " users add NAME --role admin" in refused(path, caplog)


def test_a_link_to_the_store_is_followed(path: Path, tmp_path: Path) -> None:
    """The file behind a link is read, and its mode counts."""
    write(tmp_path / "real.yaml", GOOD)
    path.symlink_to("real.yaml")
    assert list(credentials.read(path).users) == ["alice"]
    (tmp_path / "real.yaml").chmod(0o644)
    with pytest.raises(StoreModeError):
        credentials.read(path)


def test_a_change_takes_effect_at_the_next_read(path: Path) -> None:
    """A file that was replaced or edited in place is read without a restart."""
    write(path, GOOD)
    kept = CredentialStore(path)
    assert list(kept.content().users) == ["alice"]
    write(path, GOOD.replace("alice:", "carol:"))  # as many bytes as before
    assert list(kept.content().users) == ["carol"]
    with path.open("a") as file:
        file.write(f"    dave: {{password: {HASHED}, roles: []}}\n")
    assert list(kept.content().users) == ["carol", "dave"]


def test_a_file_that_did_not_change_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of an unchanged store costs one `stat`."""
    write(path, GOOD)
    kept = CredentialStore(path)
    first = kept.content()
    monkeypatch.setattr(credentials, "read", lambda _path: pytest.fail("read again"))
    assert kept.content() is first


def test_a_store_that_breaks_while_running_lets_nobody_in_until_it_is_repaired(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change is logged once, however often the store is read; no restart is needed."""
    write(path, GOOD)
    kept = CredentialStore(path)
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


def test_two_threads_read_a_change_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever line the second one begins, both get the new content from one reading."""
    write(path, GOOD)
    now = credentials.read(path)
    readings: list[Path] = []

    def counted(where: Path) -> StoreContent:
        readings.append(where)
        return now

    monkeypatch.setattr(credentials, "read", counted)
    for race in races("integrations.access.credentials"):
        readings.clear()
        kept = CredentialStore(path)
        assert race(kept.content, kept.content) == (now, now)
        assert readings == [path]


def test_hashes_are_never_printed(path: Path) -> None:
    """The repr of the content holds neither a user's hash nor a token's digest."""
    write(path, GOOD + f"tokens: {{monitor: {{sha256: {DIGEST}, roles: []}}}}\n")
    printed = repr(credentials.read(path))
    assert HASHED not in printed
    assert DIGEST not in printed
    assert "alice@example.com" in printed


@pytest.mark.parametrize(
    ("name", "typed"), [("alice", " Alice "), ("josé", "JOSE\N{COMBINING ACUTE ACCENT}"), ("a", "a")]
)
def test_a_name_is_found_in_every_spelling(name: str, typed: str) -> None:
    """Case, spaces around a name and composed accents do not matter."""
    assert credentials.normal_name(typed) == name


@pytest.mark.parametrize("failure", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ESTALE])
def test_a_failure_of_the_system_is_not_cached(
    path: Path, monkeypatch: pytest.MonkeyPatch, failure: int
) -> None:
    """The file changes while there is no free descriptor; a later call reads it without another change."""
    store = CredentialStore(path)
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


def test_an_error_of_the_file_itself_is_cached(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a change of the file can correct it, so the file is not opened again before."""
    store, opened = CredentialStore(path), list[str]()
    write(path, GOOD)

    def refuse(name: str, *_: object) -> int:
        opened.append(name)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(3):
        with pytest.raises(StoreError, match="Permission denied"):
            store.content()
    assert len(opened) == 1
