"""The YAML credential/role store, read strictly: one defect of any kind, and nobody gets in."""

import logging
import os
import re
import stat
import threading
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from integrations import command
from integrations.access.passwords import BCRYPT_HASH, COST, cost
from integrations.access.permissions import PERMISSION
from integrations.files import owner, yaml_file
from integrations.files.yaml_file import YamlFileError, YamlUnreachableError

MAX_NAME: Final = 64
_SECRET: Final = re.compile(r"\$2[a-z]?\$[./$A-Za-z0-9]+|[0-9a-fA-F]{40,}")

log = logging.getLogger(__name__)


class StoreError(Exception):
    """The store cannot be used. The text names the place and the reason, never a hash."""


class StoreMissingError(StoreError):
    """There is no store yet."""


class StoreUnreachableError(StoreError):
    """The system could not read the file just now; that says nothing about the file."""


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
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
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


def parse(text: str) -> StoreContent:
    """Read a store's text.

    Raises:
        StoreError: any defect, with its place.
    """
    try:
        document = yaml_file.load(text).value
        if document is None:
            raise StoreError(f"the file is empty. Remove it, then make the first user: {command.add_user()}")
        return StoreContent.model_validate(document)
    except YamlFileError as error:
        raise StoreError(_clean(str(error))) from None
    except ValidationError as error:
        raise StoreError(_clean(_defect(error))) from None


def _defect(error: ValidationError) -> str:
    """What is wrong first. Keys of another program's file go before all else, and are told together."""
    defects = error.errors(include_url=False, include_context=False, include_input=False)
    foreign = [_place(defect["loc"]) for defect in defects if defect["type"] == "extra_forbidden"]
    if foreign:
        return (
            f"{', '.join(foreign)}: not used by the panel. Take {'it' if len(foreign) == 1 else 'them'} out"
        )
    message = defects[0]["msg"].removeprefix(
        "Value error, "
    )  # of our own, which name the place where pydantic cannot
    if defects[0]["type"] in {"model_type", "dict_type"}:
        message = "names with values below them are expected here"
    return f"{_place(defects[0]['loc'])}: {message}".removeprefix(": ")


def _place(steps: tuple[int | str, ...]) -> str:
    return ".".join(map(str, steps))


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
        return parse(yaml_file.read_text(path, check=partial(_check, path)))
    except FileNotFoundError:
        raise StoreMissingError(
            f"{path.absolute()}: there is no store yet. Make the first user: {command.add_user()}"
        ) from None
    except YamlUnreachableError as error:
        raise StoreUnreachableError(f"{path}: {error}") from None
    except (StoreError, YamlFileError) as error:
        if isinstance(error.__context__, PermissionError):
            raise StoreError(f"{path}: {not_permitted(path)}") from None
        kind = type(error) if isinstance(error, StoreError) else StoreError
        raise kind(f"{path}: {error}") from None


def not_permitted(path: Path) -> str:
    """Why the store cannot be used by whoever runs this, and who can or how that changes."""
    path = path.absolute()
    if os.name != "posix":
        return "Permission denied"
    strangers = (owner.stranger(file) for file in (path, path.with_name(f"{path.name}.lock")))
    if (stranger := next(filter(None, strangers), None)) is not None:
        return f"Permission denied. {stranger}"
    for place in path.parents:
        with suppress(OSError):  # hidden, too
            name = owner.name_of(place.stat().st_uid)
            return f"Permission denied. {place} belongs to {name}: run this as {name}"
    return "Permission denied"


def _check(path: Path, found: os.stat_result) -> None:
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
            StoreUnreachableError: the system failed; the next look reads again.
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
            if isinstance(error, StoreUnreachableError):
                raise
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
