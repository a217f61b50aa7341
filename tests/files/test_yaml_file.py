"""The reader of an operator's YAML files."""

import contextlib
import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.files.yaml_file import MAX_BYTES, YamlFileError, load, read_text

DEFECTS = {
    "alias": ("line 2: an alias is not possible here", "a: &x [1]\nb: *x\n"),
    "alias of itself": ("line 1: an alias is not possible here", "a: &x [*x]\n"),
    "merge key": ("line 2: an alias is not possible here", "a: &x {b: 1}\nc: {<<: *x}\n"),
    "a key twice": ("line 3: the key 'a' occurs twice", "a: 1\nb: 2\na: 3\n"),
    "a list as a key": ("line 1: ", "? [a]\n: b\n"),
    "a date that no calendar has": ("line 2: not a value", "a: 1\nb: 2020-99-99\n"),
    "two documents": ("line 2: ", "a: 1\n---\nb: 1\n"),
    "not YAML": ("line 1: ", "a: [b: {"),
    "a tag": ("line 1: ", "!!python/object/apply:os.system ['true']\n"),
    "NUL": ("character 2: not a character of a text", "a\0: 1\n"),
    "deep": ("too deeply nested", "[" * 5000),
    "long number": ("line 1: not a value", "a: " + "9" * 5000),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_has_its_line(name: str) -> None:
    """The text begins with the line, counted from 1, if there is one."""
    expected, text = DEFECTS[name]
    with pytest.raises(YamlFileError) as caught:
        load(text)
    assert str(caught.value).startswith(expected)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%?, \n\t0.\\~<="), max_size=60))
def test_any_text_is_read_or_refused_with_the_one_exception(text: str) -> None:
    """No other exception comes out."""
    with contextlib.suppress(YamlFileError):
        load(text)


def test_scalars_have_plain_types() -> None:
    """Words that YAML 1.1 turns into booleans or minutes stay words; decimals are exact; dates are dates."""
    text = "{on: no, time: 10:30, id: 010, n: 5000, d: 0.10, t: true, at: 2026-11-23, none: null, e: 1e3}"
    assert load(text).value == {
        "on": "no",
        "time": "10:30",
        "id": "010",
        "n": 5000,
        "d": Decimal("0.10"),
        "t": True,
        "at": date(2026, 11, 23),
        "none": None,
        "e": "1e3",
    }
    assert str(load("0.10").value) == "0.10"


def test_an_entry_is_located_by_its_keys_and_indices() -> None:
    """The line is that of the deepest key that exists; steps that are no keys are skipped."""
    document = load("accounts:\n  - service: a\n  - service: b\n    total:\n      Credits: x\n")
    assert document.locate(("accounts", 1, "total", "Credits")) == (("accounts", 1, "total", "Credits"), 5)
    assert document.locate(("accounts", "function-after", 0, "key")) == (("accounts", 0), 2)
    assert document.locate(()) == ((), 1)


def test_a_file_is_utf_8_of_at_most_1_mib(tmp_path: Path) -> None:
    """Another encoding is refused with the first wrong byte."""
    path = tmp_path / "file.yaml"
    path.write_bytes("a: ä".encode())
    assert read_text(path) == "a: ä"
    path.write_bytes(b" " * MAX_BYTES)
    assert len(read_text(path)) == MAX_BYTES
    for content, problem in (
        ("a: ä".encode("latin-1"), "byte 4: not UTF-8"),
        (b" " * (MAX_BYTES + 1), "larger"),
    ):
        path.write_bytes(content)
        with pytest.raises(YamlFileError, match=problem):
            read_text(path)


def test_a_pipe_or_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    """Opening a pipe would wait for its writer. A missing file has an exception of its own."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(YamlFileError, match="not a file"):
        read_text(tmp_path / "pipe")
    with pytest.raises(YamlFileError):
        read_text(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.yaml")
