"""Changes to the store's file: one writer at a time; a crash leaves the old file or the new one, both whole."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import filelock
import yaml

from integrations.access import credentials
from integrations.access.credentials import StoreContent, StoreError, StoreMissingError, User
from integrations.files import private
from integrations.files.yaml_file import MAX_BYTES

FIRST_ROLES: Final = {"admin": ["*"], "viewer": ["integration:Read"], "guest": []}
LOCK_SECONDS: Final = 30.0


def change(path: Path, edit: Callable[[StoreContent], StoreContent]) -> StoreContent:
    """Read the store, edit it and replace the file, under a lock that holds between processes.

    Comments in the file are lost. A new store begins with `FIRST_ROLES`.

    Raises:
        StoreError: the old or the edited store cannot be used; the file has not changed.
    """
    path = Path(os.path.realpath(path))
    try:
        private.make_folder(path.parent)
        private.make_file(path.with_name(f"{path.name}.lock"))
        with filelock.FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=0o600):
            edited = edit(_read_or_begin(path))
            text = _dump(edited)
            credentials.parse(text)
            if len(text.encode()) > MAX_BYTES:
                raise StoreError(f"{path}: not changed: it would be larger than 1 MiB")
            _replace(path, text)
            return edited
    except filelock.Timeout:
        raise StoreError(f"{path}: another command has held the lock for {LOCK_SECONDS:.0f} s") from None
    except PermissionError:
        raise StoreError(f"{path}: {credentials.not_permitted(path)}") from None
    except OSError as error:
        hint = (
            ". Mount its folder instead of the file" if error.errno == errno.EBUSY else ""
        )  # cannot be replaced
        raise StoreError(f"{path}: cannot be written: {error.strerror}{hint}") from None


def _read_or_begin(path: Path) -> StoreContent:
    try:
        return credentials.read(path)
    except StoreMissingError:
        return StoreContent.model_validate({"roles": FIRST_ROLES, "credentials": {"usernames": {}}})


def _dump(content: StoreContent) -> str:
    document = content.model_dump(exclude_defaults=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # left by a killed writer; the lock is ours
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            private.copy_owner(file.fileno(), path if path.exists() else path.parent)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        _sync_directory(path.parent)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def with_user(content: StoreContent, name: str, user: User) -> StoreContent:
    """Return the store with this user added or replaced."""
    users = {**content.users, name: user}
    return content.model_copy(
        update={"credentials": content.credentials.model_copy(update={"usernames": users})}
    )


def without_user(content: StoreContent, name: str) -> StoreContent:
    """Return the store without this user."""
    users = {other: user for other, user in content.users.items() if other != name}
    return content.model_copy(
        update={"credentials": content.credentials.model_copy(update={"usernames": users})}
    )


def without_token(content: StoreContent, name: str) -> StoreContent:
    """Return the store without this token."""
    tokens = {other: token for other, token in content.tokens.items() if other != name}
    return content.model_copy(update={"tokens": tokens})
