"""The YAML credential/role store, read strictly: one defect of any kind, and nobody gets in."""

import logging
import os
import stat
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from integrations.access.passwords import BCRYPT_HASH, COST, cost
from integrations.access.permissions import PERMISSION

MAX_BYTES: Final = 4 * 1024 * 1024

log = logging.getLogger(__name__)


class StoreError(Exception):
    """The store cannot be used. The text names the place and the reason, never a hash."""


class StoreMissingError(StoreError):
    """There is no store yet."""


class StoreModeError(StoreError):
    """Others may read or write the store's file."""


def _permission(text: str) -> str:
    if PERMISSION.fullmatch(text) is None:
        raise ValueError("not a permission: expected resource:Action, resource:* or *")
    return text


def _bcrypt(text: str) -> str:
    if BCRYPT_HASH.fullmatch(text) is None:
        raise ValueError("not a bcrypt hash")
    return text


def _sha256(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of SHA-256
        raise ValueError("not a SHA-256 in hexadecimal")
    return text


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip() or text != text.lower():
        raise ValueError("a name is printable, in lower case, without spaces around it")
    return text


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class User(_Entry):
    """One user, in the shape that streamlit-authenticator reads."""

    email: str = Field(default="", max_length=254)
    first_name: str = Field(default="", max_length=100)
    last_name: str = Field(default="", max_length=100)
    password: Annotated[str, AfterValidator(_bcrypt), Field(repr=False)]
    roles: list[str]


class _Credentials(_Entry):
    usernames: dict[Name, User]


class Token(_Entry):
    """A machine's access to the endpoint: the SHA-256 of its random token, and its roles."""

    sha256: Annotated[str, AfterValidator(_sha256), Field(repr=False)]
    roles: list[str]


class StoreContent(_Entry):
    """Who may do what."""

    roles: dict[Name, list[Annotated[str, AfterValidator(_permission)]]]
    credentials: _Credentials
    tokens: dict[Name, Token] = {}

    @model_validator(mode="after")
    def _roles_exist(self) -> "StoreContent":
        for kind, entries in (("credentials.usernames", self.users), ("tokens", self.tokens)):
            for name, entry in entries.items():
                for role in entry.roles:
                    if role not in self.roles:
                        raise ValueError(f"{kind}.{name!r}.roles: unknown role {role!r}")
        return self

    @property
    def users(self) -> dict[str, User]:
        """The users by name."""
        return self.credentials.usernames

    @property
    def usual_cost(self) -> int:
        """The highest bcrypt work factor among the users."""
        return max((cost(user.password) for user in self.users.values()), default=COST)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's own loader keeps the last of two equal keys, and so would drop a user without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        keys: list[object] = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise StoreError(
                    f"line {node.value[index][0].start_mark.line + 1}: the key {key!r} stands twice"
                )
        return super().construct_mapping(node, deep=deep)


def parse(text: str) -> StoreContent:
    """Read a store's text.

    Raises:
        StoreError: any defect, with its place.
    """
    try:
        document = yaml.load(text, _UniqueKeyLoader)  # noqa: S506 - a subclass of the safe loader
        return StoreContent.model_validate(document)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise StoreError(f"{line}not YAML: {error.problem}") from None
    except ValidationError as error:
        defect = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in defect["loc"])
        raise StoreError(f"{place}: {defect['msg']}".removeprefix(": ")) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"not readable: {type(error).__name__}") from None


def read(path: Path) -> StoreContent:
    """Read and check the file.

    Raises:
        StoreMissingError: there is none.
        StoreError: it cannot be used.
    """
    try:
        found = path.stat()
        _check_mode(path, found)
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreMissingError(
            f"{path}: there is no store yet. Make the first user: integrations users add NAME --role admin"
        ) from None
    except StoreError as error:
        raise type(error)(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise StoreError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None


def _check_mode(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError("not a file")
    if found.st_size > MAX_BYTES:
        raise StoreError("larger than 4 MiB")
    if os.name == "posix" and found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise StoreModeError(f"others may access it (mode {mode:04o}). Run: chmod 600 {path}")


@dataclass(frozen=True, slots=True)
class _Kept:
    signature: tuple[int, ...]
    content: StoreContent | StoreError


class Store:
    """The store's file, read again when it changed: one `stat` a look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: _Kept | None = None
        self._lock = threading.Lock()

    def content(self) -> StoreContent:
        """What the file holds now.

        Raises:
            StoreError: it cannot be used; logged once for each change of the file.
        """
        signature = self._signature()
        kept = self._kept
        if kept is None or kept.signature != signature:
            with self._lock:
                kept = self._kept
                if kept is None or kept.signature != signature:
                    kept = self._kept = self._read(signature)
        if isinstance(kept.content, StoreError):
            raise type(kept.content)(*kept.content.args)  # a new one: a kept one would collect tracebacks
        return kept.content

    def _read(self, signature: tuple[int, ...]) -> _Kept:
        try:
            return _Kept(signature, read(self.path))
        except StoreError as error:
            log.error("The sign-in store cannot be used: %s", error)  # noqa: TRY400 - the text is the message
            return _Kept(signature, error)

    def _signature(self) -> tuple[int, ...]:
        try:
            found = self.path.stat()
        except OSError as error:
            return (error.errno or 0,)
        return (
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_mode,
            found.st_uid,
        )
