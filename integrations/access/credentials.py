"""The YAML credential/role store, read strictly: any defect in it blocks every sign-in."""

import logging
import os
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationError

from integrations import command
from integrations.access.passwords import BCRYPT_HASH, COST, cost
from integrations.access.permissions import PERMISSION
from integrations.files import private, yaml_file
from integrations.files.yaml_file import YamlDocument, YamlFileError, YamlUnreachableError
from integrations.files.yaml_model import StrictModel, error_lines, format_location

MAX_NAME: Final = 64
_SECRET: Final = re.compile(r"\$2[a-z]?\$[./$A-Za-z0-9]+|[0-9a-fA-F]{40,}")

log = logging.getLogger(__name__)


class StoreError(Exception):
    """The store cannot be used. The text has one line for each defect, with its place and never a hash."""


class StoreMissingError(StoreError):
    """There is no store yet."""


class StoreUnreachableError(StoreError):
    """The system could not read the file this time; the file itself may be fine."""


class StoreModeError(StoreError):
    """Others may read or write the store's file."""


def normal_name(typed: str) -> str:
    """Return a user's name as the store has it."""
    return unicodedata.normalize("NFKC", typed[: 4 * MAX_NAME]).strip().lower()


def _check_name(text: str) -> str:
    if not text.isprintable() or text != text.strip() or text != text.lower():
        raise ValueError("expected a name in lower case, printable, without spaces around it")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_check_name)]
Line = Annotated[str, Field(pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]*$")]
Permission = Annotated[str, Field(pattern=f"^(?:{PERMISSION.pattern})$")]
Roles = Annotated[list[str], Field(description="a list of roles, [] for none")]


class User(StrictModel):
    """One user, in the shape that streamlit-authenticator reads."""

    email: Line = Field(default="", max_length=254, description="one line, up to 254 characters")
    first_name: Line = Field(default="", max_length=100, description="one line, up to 100 characters")
    last_name: Line = Field(default="", max_length=100, description="one line, up to 100 characters")
    password: str = Field(
        pattern=f"^{BCRYPT_HASH.pattern}$",
        repr=False,
        description="a bcrypt hash with a work factor from 04 to 16",
    )
    roles: Roles


class _Credentials(StrictModel):
    usernames: dict[Name, User] = Field(description=f"users by name, each name of 1 to {MAX_NAME} characters")


class Token(StrictModel):
    """A machine's access to the endpoint: the SHA-256 of its random token, and its roles."""

    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", repr=False, description="a SHA-256 as 64 hexadecimal digits in lower case"
    )
    roles: Roles


class StoreContent(StrictModel):
    """The roles with their permissions, the users and the tokens."""

    roles: dict[Name, list[Permission]] = Field(
        description='roles by name, each with a list of permissions: resource:Action, resource:* or "*"'
    )
    credentials: _Credentials = Field(description="the key usernames with the users below it")
    tokens: dict[Name, Token] = Field(default={}, description="tokens by name")

    @property
    def users(self) -> dict[str, User]:
        """The users by name."""
        return self.credentials.usernames

    @property
    def highest_cost(self) -> int:
        """The highest bcrypt work factor among the users."""
        return max((cost(user.password) for user in self.users.values()), default=COST)


def parse(text: str, file: Path | None = None) -> StoreContent:
    """Read a store's text.

    Raises:
        StoreError: a line for each defect: `FILE:LINE: place: expected …`; without `file` it begins with the place.
    """
    try:
        document = yaml_file.load(text)
        content = StoreContent.model_validate(document.value)
    except YamlFileError as error:
        raise _error(file, [(error.line, error.problem)]) from None
    except ValidationError as error:
        if document.value is None:
            hint = f"Remove it, then make the first user: {command.add_user()}"
            raise _error(file, [(1, f"the file is empty. {hint}")]) from None
        raise _error(file, error_lines(error, document)) from None
    if unknown := list(_unknown_roles(content, document)):
        raise _error(file, unknown)
    return content


def _unknown_roles(content: StoreContent, document: YamlDocument) -> Iterator[tuple[int, str]]:
    users = ((("credentials", "usernames", name), user.roles) for name, user in content.users.items())
    tokens = ((("tokens", name), token.roles) for name, token in content.tokens.items())
    for place, roles in (*users, *tokens):
        for index, role in enumerate(roles):
            if role not in content.roles:
                location, line = document.locate((*place, "roles", index))
                known = ", ".join(content.roles)
                yield line, f"{format_location(location)}: unknown role {role!r}: expected one of {known}"


def _error(file: Path | None, defects: Iterable[tuple[int | None, str]]) -> StoreError:
    lines = []
    for line, text in defects:
        place = f"{file}:{line}" if line else f"{file}"
        lines.append(f"{place}: {_clean(text)}" if file else _clean(text))
    return StoreError("\n".join(lines))


def _clean(text: str) -> str:
    """Put a defect on one line without a hash: it quotes keys, and a key may hold a line break or be a hash."""
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
        text = yaml_file.read_text(path, check=partial(_refuse_others, path))
    except FileNotFoundError:
        raise StoreMissingError(
            f"{path.absolute()}: there is no store yet. Make the first user: {command.add_user()}"
        ) from None
    except YamlUnreachableError as error:
        raise StoreUnreachableError(f"{path}: {error}") from None
    except YamlFileError as error:
        denied = isinstance(error.__context__, PermissionError)
        raise StoreError(f"{path}: {not_permitted(path) if denied else error.problem}") from None
    return parse(text, path)


def _refuse_others(path: Path, status: os.stat_result) -> None:
    if problem := private.access_by_others(path, status):
        raise StoreModeError(problem)


def not_permitted(path: Path) -> str:
    """Return why this user cannot use the store, and which user can or how to change that."""
    path = path.absolute()
    if os.name != "posix":
        return "Permission denied"
    hints = map(private.foreign_owner_hint, (path, path.with_name(f"{path.name}.lock")))
    if (hint := next(filter(None, hints), None)) is not None:
        return f"Permission denied. {hint}"
    for folder in path.parents:
        with suppress(OSError):  # it may be hidden, too
            name = private.user_name(folder.stat().st_uid)
            return f"Permission denied. {folder} belongs to {name}: run this as {name}"
    return "Permission denied"


@dataclass(frozen=True, slots=True)
class _Cached:
    signature: tuple[int, ...]
    content: StoreContent | StoreError


class CredentialStore:
    """The store's file, read again after a change: a call costs one `stat`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cached: _Cached | None = None
        self._lock = threading.Lock()

    def content(self) -> StoreContent:
        """Return the current content of the file.

        Raises:
            StoreError: it cannot be used; logged once for each change of the file.
            StoreUnreachableError: the system failed; the next call reads again.
        """
        signature = self._signature()
        cached = self._cached
        if cached is None or cached.signature != signature:
            with self._lock:
                cached = self._cached
                if cached is None or cached.signature != signature:
                    cached = self._cached = self._read(signature)
        if isinstance(cached.content, StoreError):
            raise type(cached.content)(*cached.content.args)  # a new one: a kept one would collect tracebacks
        return cached.content

    def _read(self, signature: tuple[int, ...]) -> _Cached:
        try:
            return _Cached(signature, read(self.path))
        except StoreError as error:
            text = "; ".join(str(error).splitlines())
            log.error("The sign-in store cannot be used: %s", text)
            if isinstance(error, StoreUnreachableError):
                raise
            return _Cached(signature, error)

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
