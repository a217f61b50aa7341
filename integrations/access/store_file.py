"""Changes to the store's file: one writer at a time, and a crash leaves the old file or the new one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import filelock
import yaml

from integrations.access import store
from integrations.access.store import StoreContent, StoreError, StoreMissingError, User

FIRST_ROLES: Final = {"admin": ["*"], "viewer": []}
LOCK_SECONDS: Final = 30.0


def change(path: Path, edit: Callable[[StoreContent], StoreContent]) -> StoreContent:
    """Read the store, edit it and replace the file, all under a lock between processes.

    Comments in the file are not kept. A store that is not there yet begins with the roles admin and viewer.

    Raises:
        StoreError: the store, or what the edit makes of it, cannot be used; the file is as it was.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=0o600):
            edited = edit(_read_or_begin(path))
            text = _dump(edited)
            store.parse(text)
            _replace(path, text)
            return edited
    except filelock.Timeout:
        raise StoreError(f"{path}: another command has held the lock for {LOCK_SECONDS:.0f} s") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None


def _read_or_begin(path: Path) -> StoreContent:
    try:
        return store.read(path)
    except StoreMissingError:
        return StoreContent.model_validate({"roles": FIRST_ROLES, "credentials": {"usernames": {}}})


def _dump(content: StoreContent) -> str:
    document = content.model_dump(exclude_defaults=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".new")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def with_user(content: StoreContent, name: str, user: User) -> StoreContent:
    """The store with this user added or replaced."""
    users = {**content.users, name: user}
    return content.model_copy(
        update={"credentials": content.credentials.model_copy(update={"usernames": users})}
    )


def without_user(content: StoreContent, name: str) -> StoreContent:
    """The store without this user."""
    users = {other: user for other, user in content.users.items() if other != name}
    return content.model_copy(
        update={"credentials": content.credentials.model_copy(update={"usernames": users})}
    )
