"""The operator's YAML files, read strictly: each defect with its line, and the line of every entry for later checks.

Stricter than YAML: no aliases, no repeated key, one document of at most 1 MiB. Closer to YAML 1.2 than PyYAML: `no`,
`on`, `010` and `10:30` are text, and a number with a point is an exact Decimal.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1024 * 1024
"""Some thousand entries, which take seconds to read."""

Location = tuple[int | str, ...]
"""The place of an entry: keys and indices from the top."""


class YamlFileError(Exception):
    """A file or text that cannot be used.

    Attributes:
        problem: what is wrong; may quote a key of the file, never a value.
        line: counted from 1; None if the defect has no line.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line


class YamlUnreachableError(YamlFileError):
    """The system could not read the file this time, for example without a free descriptor; the file may be fine."""


_PERMANENT_ERRORS: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG}
)
"""Corrected only by a change of the file or its folder. Other errors may pass without one."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A document's value, and the lines of its entries."""

    value: object
    lines: dict[Location, int]

    def locate(self, location: Sequence[int | str]) -> tuple[Location, int]:
        """Return the nearest entry of a location, and its line.

        Args:
            location: as pydantic reports it. Steps that the document lacks, such as a missing key or the name of a
                validator, are skipped.
        """
        found: Location = ()
        for step in location:
            if (*found, step) in self.lines:
                found = (*found, step)
        return found, self.lines.get(found, 1)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the restrictions of this module."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call] # types-PyYAML leaves it out
        if isinstance(event, yaml.AliasEvent):  # a few lines of them can expand to gigabytes
            raise yaml.MarkedYAMLError(problem="an alias is not possible here", problem_mark=_mark(event))
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, ArithmeticError, TypeError, KeyError):  # such as a date that does not exist
            raise yaml.MarkedYAMLError(problem="not a value", problem_mark=_mark(node)) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        # PyYAML keeps the last of two equal keys and silently drops the other entry.
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=_mark(key_node))
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} occurs twice", problem_mark=_mark(key_node)
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def lines_of(self, top: yaml.Node | None) -> dict[Location, int]:
        """Return the line of every entry; in a mapping, the line of its key."""
        lines: dict[Location, int] = {}
        open_nodes: list[tuple[Location, yaml.Node | None]] = [((), top)]
        while open_nodes:
            place, node = open_nodes.pop()
            children: list[tuple[Any, yaml.Node, yaml.Node]] = []
            if isinstance(node, yaml.MappingNode):
                children = [(self.construct_object(key, deep=True), key, value) for key, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                children = [(index, value, value) for index, value in enumerate(node.value)]
            for step, begins, value in children:
                lines[(*place, step)] = begins.start_mark.line + 1
                open_nodes.append(((*place, step), value))
        return lines


_SCALARS: Final = {
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:int": r"[-+]?(?:0|[1-9][0-9]*)",
    "tag:yaml.org,2002:float": r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+",
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _SCALARS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)))


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
for _tag, _pattern in _SCALARS.items():
    _first = list("tTfF") if _tag.endswith("bool") else list("-+0123456789")
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})$"), _first)


def _mark(part: yaml.Event | yaml.Node) -> yaml.Mark | None:
    return part.start_mark if isinstance(part.start_mark, yaml.Mark) else None


def _plain(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's text, or a plainer one for common mistakes."""
    if error.context == "while scanning an alias":
        return 'a * needs quotes around it: "*"'
    problem = str(error.problem)
    return "a tab: indent with spaces" if "'\\t'" in problem else problem


def load(text: str) -> YamlDocument:
    """Read a text of one document.

    Raises:
        YamlFileError: any defect, with its line if it has one.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            value = None if node is None else loader.construct_document(node)
            return YamlDocument(value, loader.lines_of(node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YamlFileError(_plain(error), line) from None
    except yaml.reader.ReaderError as error:
        raise YamlFileError(f"character {error.position + 1}: not a character of a text") from None
    except RecursionError:
        raise YamlFileError("too deeply nested") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise YamlFileError(f"not readable: {type(error).__name__}") from None


def text_at(text: str, *names: str) -> str | None:
    """Return the text of the value at these keys with its comments, without its indentation; None if there is none.

    Raises:
        YamlFileError: the text is no strict YAML.
    """
    load(text)
    node: yaml.Node | None = _Loader(text).get_single_node()
    below = 0
    for name in names:
        entries = node.value if isinstance(node, yaml.MappingNode) else ()
        key, node = next((entry for entry in entries if entry[0].value == name), (None, None))
        below = 0 if key is None else key.end_mark.index
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return text[node.start_mark.index : node.end_mark.index] + "\n"
    # The lines below the key, without blank lines and comments before the next entry.
    column = node.start_mark.column
    lines = text[below : node.end_mark.index].splitlines()[1:]
    while not lines[-1].strip() or lines[-1][:column].strip():
        lines.pop()
    return "".join(f"{line.lstrip() if line[:column].strip() else line[column:]}\n" for line in lines)


def read_text(path: Path, *, check: Callable[[os.stat_result], None] | None = None) -> str:
    """Return the text of a UTF-8 file of at most 1 MiB.

    Args:
        path: of a file; a pipe or a device is refused at once.
        check: receives the status of the opened file before it is read, and may raise.

    Raises:
        FileNotFoundError: there is none.
        YamlFileError: it cannot be read.
        YamlUnreachableError: the system failed; the file may be fine.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise YamlFileError("not a file")
            if found.st_size > MAX_BYTES:
                raise YamlFileError("larger than 1 MiB")
            if check is not None:
                check(found)
            return file.read(MAX_BYTES + 1).decode("utf-8")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise YamlFileError(f"byte {error.start + 1}: not UTF-8 text") from None
    except OSError as error:
        kind = YamlFileError if error.errno in _PERMANENT_ERRORS else YamlUnreachableError
        raise kind(str(error.strerror)) from None


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: opening a pipe would wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
