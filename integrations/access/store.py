"""The YAML credential/role store, read strictly: one defect of any kind, and nobody gets in."""

import logging
import os
import re
import stat
import threading
import unicodedata
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from integrations.access.passwords import BCRYPT_HASH, COST, cost
from integrations.access.permissions import PERMISSION

MAX_BYTES: Final = 1024 * 1024
"""Some thousand users; read in seconds."""

MAX_NAME: Final = 64
_SECRET: Final = re.compile(r"\$2[a-z]?\$[./$A-Za-z0-9]+|[0-9a-fA-F]{40,}")

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
        raise ValueError("not a bcrypt hash with a work factor from 04 to 16")
    return text


def _sha256(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of SHA-256
        raise ValueError("not a SHA-256 in hexadecimal")
    return text


def _line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("holds a line break or another control character")
    return text


def normal_name(typed: str) -> str:
    """A user's name as the store has it."""
    return unicodedata.normalize("NFKC", typed[: 4 * MAX_NAME]).strip().lower()


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip() or text != text.lower():
        raise ValueError("a name is printable, in lower case, without spaces around it")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_name)]
Line = Annotated[str, AfterValidator(_line)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class User(_Entry):
    """One user, in the shape that streamlit-authenticator reads."""

    email: Line = Field(default="", max_length=254)
    first_name: Line = Field(default="", max_length=100)
    last_name: Line = Field(default="", max_length=100)
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
    def highest_cost(self) -> int:
        """The highest bcrypt work factor among the users."""
        return max((cost(user.password) for user in self.users.values()), default=COST)


class _Loader(yaml.SafeLoader):
    """YAML without what a list of users has no need of, each defect with its line."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call] # types-PyYAML leaves it out
        if isinstance(event, yaml.AliasEvent):  # a few lines of them unfold to gigabytes, or for ever
            raise yaml.MarkedYAMLError(problem="an alias is not possible here", problem_mark=_mark(event))
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, KeyError):  # such as a date that no calendar has
            raise yaml.MarkedYAMLError(problem="not a value", problem_mark=_mark(node)) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        # YAML's own loader keeps the last of two equal keys, and so would drop a user without a word.
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=_mark(key_node))
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=_mark(key_node)
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _mark(part: yaml.Event | yaml.Node) -> yaml.Mark | None:
    return part.start_mark if isinstance(part.start_mark, yaml.Mark) else None


def parse(text: str) -> StoreContent:
    """Read a store's text.

    Raises:
        StoreError: any defect, with its place.
    """
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader
        return StoreContent.model_validate(document)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise StoreError(_clean(f"{line}{error.problem}")) from None
    except yaml.reader.ReaderError as error:
        raise StoreError(f"character {error.position + 1}: not a character of a text") from None
    except ValidationError as error:
        defect = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in defect["loc"])
        message = defect["msg"].removeprefix(
            "Value error, "
        )  # of our own, which name the place where pydantic cannot
        raise StoreError(_clean(f"{place}: {message}".removeprefix(": "))) from None
    except RecursionError:
        raise StoreError("too deeply nested") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:  # whatever else it may be, nobody gets in
        raise StoreError(f"not readable: {type(error).__name__}") from None


def _clean(text: str) -> str:
    """One line for the log: keys come from the file, and one may hold a line break, or a hash put in a wrong place."""
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return _SECRET.sub("…", line)[:300]


def read(path: Path) -> StoreContent:
    """Read and check the file.

    Raises:
        StoreMissingError: there is none.
        StoreError: it cannot be used.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            _check(path, os.fstat(file.fileno()))
            return parse(file.read(MAX_BYTES + 1).decode("utf-8"))
    except FileNotFoundError:
        raise StoreMissingError(
            f"{path}: there is no store yet. Make the first user: integrations users add NAME --role admin"
        ) from None
    except StoreError as error:
        raise type(error)(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: byte {error.start + 1}: not UTF-8 text") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None


def _open_at_once(path: str, flags: int) -> int:
    """A pipe in the store's place would have the opening wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError("not a file")
    if found.st_size > MAX_BYTES:
        raise StoreError("larger than 1 MiB")
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
