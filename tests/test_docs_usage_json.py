"""docs/usage-json.md against the models that it describes."""

import json
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from integrations.quota.errors import ErrorCode
from integrations.quota.models import Reading, UsageError, UsageReport, usage_schema
from tests.ui import gallery

DOCUMENT = (Path(__file__).parents[1] / "docs" / "usage-json.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The first table below a heading, without its head."""
    table = DOCUMENT.partition(f"## {heading}\n")[2]
    lines = re.search(r"^\|.*?(?:\n\n|\Z)", table, re.MULTILINE | re.DOTALL)
    assert lines
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].strip().splitlines()[2:]
    ]


def may_be_null(kind: Any) -> bool:  # noqa: ANN401 - a type, of any form
    """Whether None is allowed."""
    return get_origin(kind) in {Union, UnionType} and NoneType in get_args(kind)


@pytest.mark.parametrize(
    ("heading", "model"), [("Fields of a reading", Reading), ("Fields of an error", UsageError)]
)
def test_every_field_is_described_in_its_order(heading: str, model: type[Reading] | type[UsageError]) -> None:
    """Name, type, when it is null and an example; none missing, none too many."""
    described = {row[0].strip("`"): row for row in rows(heading)}
    assert list(described) == [field.alias for field in model.model_fields.values()]
    for name, hint in get_type_hints(model).items():
        field = model.model_fields.get(name)
        if field is None:
            continue
        _, kind, _, when_null, example = described[str(field.alias)]
        assert (when_null != "never") == may_be_null(hint), name
        if example != "see below":
            kinds = {"string": (str,), "number": (int, float), "boolean": (bool,)}
            assert type(json.loads(example.strip("`"))) in kinds[kind]


def test_every_error_code_is_described_with_its_status() -> None:
    """The table of codes is the enumeration."""
    table = DOCUMENT.partition("| `code` | `status` |")[2]
    described = re.findall(r"^\| `(\w+)` \| `(\w+)` \| \S", table, re.MULTILINE)
    assert described == [(code.value, code.status.value) for code in ErrorCode]


def test_the_example_is_a_document_of_ours() -> None:
    """It parses, and printing it again changes nothing."""
    block = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block
    usage = UsageReport.model_validate_json(block[1])
    assert usage.model_dump(mode="json") == json.loads(block[1])


SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "usage.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_made_from_the_models() -> None:
    """`integrations usage --schema > docs/usage.schema.json` changes nothing."""
    Draft202012Validator.check_schema(SCHEMA)
    assert usage_schema() == SCHEMA


def test_every_field_is_in_the_schema_and_always_sent() -> None:
    """Named, described and required; others may join them."""
    for name, model in (("Reading", Reading), ("UsageError", UsageError)):
        described = SCHEMA["$defs"][name]
        names = [field.alias for field in model.model_fields.values()]
        assert list(described["properties"]) == described["required"] == names
        assert all("description" in field for field in described["properties"].values())
        assert "additionalProperties" not in described


@pytest.mark.parametrize("state", sorted(gallery.STATES))
def test_a_reading_in_any_state_is_valid(state: str) -> None:
    """As the endpoint sends it."""
    report = UsageReport(integrations=[gallery.STATES[state]])
    Draft202012Validator(SCHEMA).validate(json.loads(report.model_dump_json()))


@pytest.mark.parametrize(
    "defect",
    [{"provider": None}, {"remainingQuota": "7500"}, {"status": "fine"}, {"stale": None}, {"error": {}}],
)
def test_the_schema_notices_what_is_no_document(defect: dict[str, object]) -> None:
    """A wrong type, an unknown status, an error without its parts, a missing key."""
    (good,) = json.loads(UsageReport(integrations=[gallery.STATES["25 % used"]]).model_dump_json())[
        "integrations"
    ]
    validator = Draft202012Validator(SCHEMA)
    assert validator.is_valid({"integrations": [good]})
    assert not validator.is_valid({"integrations": [{**good, **defect}]})
    good.pop(next(iter(defect)))
    assert not validator.is_valid({"integrations": [good]})
