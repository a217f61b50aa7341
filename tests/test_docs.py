"""The documents against the code: each setting, command, error code, fault, field and service is in them."""

import json
import re
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import click
import pytest
from jsonschema import Draft202012Validator

from integrations.accounts import catalogue
from integrations.cli.main import main
from integrations.providers import PYTHON
from integrations.quota.errors import ErrorCode
from integrations.quota.models import Reading, UsageError, UsageReport, usage_schema
from integrations.settings import PanelSettings, ProviderSettings
from scripts import services
from tests.providers.definitions import definition
from tests.providers.faults import FAULTS
from tests.ui import gallery

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
USAGE_JSON = (ROOT / "docs" / "usage-json.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "docs" / "usage.schema.json").read_text(encoding="utf-8"))
PROVIDERS, STATE = (
    (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").split("\n# When the state fails\n")
)


def test_the_readme_has_every_setting() -> None:
    """Each is in its table."""
    kinds: list[type[PanelSettings | ProviderSettings]] = [PanelSettings]
    kinds += [provider.settings_class for provider in PYTHON.values()]
    names = [kind.variable(field) for kind in kinds for field in kind.model_fields]
    assert [name for name in names if f"| `{name}` |" not in README] == []


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_the_readme_has_every_command(name: str) -> None:
    """Each is in its table, with its subcommands in the same row."""
    row = re.search(rf"^\| `integrations {name}` \|.*$", README, re.MULTILINE)
    assert row is not None
    command = main.get_command(click.Context(main), name)
    for part in command.commands if isinstance(command, click.Group) else ():
        assert f"`{part}`" in row[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_commands_can_be_followed(document: Path) -> None:
    """A linked file exists; a command has the path of `integrations`, or is `panel` of deploy.md."""
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"#]+)", text):
        assert "://" in link or (document.parent / link).exists(), link
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        assert re.findall(r"(?m)(?:^|[;|&(] *)integrations .*", block) == []


SHOWN_BY = {
    "the file is removed": "test_processes_stay_one_panel_if_the_file_is_removed",
    "others may access the file": "test_a_file_that_others_may_read_is_refused",
    "the file is of another kind": "test_a_file_of_another_kind_is_refused",
    "a page of the file is damaged": "test_damage_behind_the_first_page_is_refused",
    "the file is of a newer version": "test_a_file_of_a_newer_version_is_refused",
    "the file's folder is missing or read-only": "test_a_read_only_folder_is_refused",
    "the file is mounted without its folder": "test_a_file_that_is_mounted_without_its_folder_is_refused",
    "the file's folder is on two mounts of one machine": "test_a_folder_on_two_mounts_is_one_state",
    "the disk is full": "test_a_full_disk_is_reported_and_reading_continues",
    "the disk is full at the start": "test_a_disk_that_is_full_at_the_start_is_reported",
    "nothing can be written for another reason": "test_reading_continues_if_nothing_can_be_written",
    "another program keeps the file locked": "test_a_locked_file_is_waited_for_two_seconds_and_once",
    "a process is killed while it asks a provider": "test_if_the_asking_process_is_killed_the_other_one_asks",
    "Redis is down": "test_a_redis_that_is_down_fails_at_once",
    "Redis goes and comes back": "test_a_redis_that_comes_up_is_used",
    "Redis does not answer": "test_only_the_first_calls_wait_for_a_redis_that_hangs",
    "Redis sends an answer slowly or byte by byte": "test_a_redis_that_is_too_slow_fails_as_one_that_hangs",
    "one answer of Redis is late": "test_reading_survives_one_late_answer",
    "Redis is slow": "test_an_action_waits_for_a_few_answers",
    "no name server answers for Redis' name": "test_a_name_server_that_hangs_is_waited_for_half_a_second",
    "Redis closes a connection": "test_a_connection_that_redis_closed_is_opened_again",
    "Redis is out of memory": "test_a_full_redis_can_be_read",
    "Redis refuses the password": "test_passwords",
    "Redis' certificate is not trusted": "test_tls",
    "Redis is of a version before 6.2": "test_an_old_redis_is_found_by_its_missing_command",
    "Redis is in cluster mode": "test_a_cluster_is_refused",
    "Redis restarts without having kept anything": "test_a_redis_that_comes_up_is_used",
    "a clock is set back, or clocks are 5 s apart": "test_a_clock_that_is_set_back",
}
"""The test of each fault of the state."""


def row(name: str, code: ErrorCode, *, retried: bool = False, wait: str | None = None) -> str:
    """Return a fault as a line of the table."""
    sentence = code.sentence(label="IMAI", key_variable="IMAI_API_KEY", wait=wait)
    return f"| {name} | `{code}` | {code.status} | {sentence} | {'yes' if retried else 'no'} |"


def test_the_table_of_faults_is_the_tested_list() -> None:
    """It has every tested fault of a provider with its effect, and no other."""
    table = [line for line in PROVIDERS.splitlines() if line.startswith("| ")][1:]
    expected = [row("no server at the address", ErrorCode.NETWORK, retried=True)]
    expected += [row("no connection accepted", ErrorCode.TIMEOUT)]
    expected += [row(fault.name, fault.code, retried=fault.retried, wait=fault.wait) for fault in FAULTS]
    expected += [row("no API key is set", ErrorCode.NOT_CONFIGURED)]
    assert table == expected


def test_each_fault_of_the_state_has_its_test() -> None:
    """Every line of the table has a test, and every such test has its line."""
    names = [line.split(" | ")[0].removeprefix("| ") for line in STATE.splitlines() if line.startswith("| ")]
    assert names[1:] == list(SHOWN_BY)
    code = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.rglob("test_*.py"))
    assert [test for test in SHOWN_BY.values() if f"def {test}(" not in code] == []


def rows(heading: str) -> dict[str, list[str]]:
    """Return the first table below a heading of usage-json.md, by its first column, without its head."""
    lines = re.search(
        r"^\|.*?(?:\n\n|\Z)", USAGE_JSON.partition(f"## {heading}\n")[2], re.MULTILINE | re.DOTALL
    )
    assert lines
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].strip().splitlines()[2:]
    ]
    return {row[0].strip("`"): row for row in cells}


@pytest.mark.parametrize(
    ("heading", "model"), [("Fields of a reading", Reading), ("Fields of an error", UsageError)]
)
def test_every_field_of_the_json_is_described(heading: str, model: type[Reading] | type[UsageError]) -> None:
    """The table has name, type, the case of null and an example; the schema has a description, and requires it."""
    described, hints = rows(heading), get_type_hints(model)
    assert list(described) == [field.alias for field in model.model_fields.values()]
    for name, field in model.model_fields.items():
        _, kind, _, when_null, example = described[str(field.alias)]
        assert (when_null != "never") == (NoneType in get_args(hints[name])), name
        if example != "see below":
            kinds = {"string": (str,), "number": (int, float), "boolean": (bool,)}
            assert type(json.loads(example.strip("`"))) in kinds[kind]
    schema = SCHEMA["$defs"][model.__name__]
    assert list(schema["properties"]) == schema["required"] == list(described)
    assert all("description" in field for field in schema["properties"].values())
    assert "additionalProperties" not in schema


def test_every_error_code_is_described_with_its_status() -> None:
    """The table of codes is the enumeration."""
    table = USAGE_JSON.partition("| `code` | `status` |")[2]
    described = re.findall(r"^\| `(\w+)` \| `(\w+)` \| \S", table, re.MULTILINE)
    assert described == [(code.value, code.status.value) for code in ErrorCode]


def test_the_example_and_the_schema_are_the_models() -> None:
    """The example parses and is printed unchanged; `integrations usage --schema` prints docs/usage.schema.json."""
    (block,) = re.findall(r"```json\n(.*?)```", USAGE_JSON, re.DOTALL)[:1]
    assert UsageReport.model_validate_json(block).model_dump(mode="json") == json.loads(block)
    Draft202012Validator.check_schema(SCHEMA)
    assert usage_schema() == SCHEMA


def document(state: str) -> dict[str, Any]:
    """Return the JSON of a reading in this state of the gallery."""
    report = UsageReport(integrations=[gallery.STATES[state]])
    return dict(json.loads(report.model_dump_json()))


@pytest.mark.parametrize("state", sorted(gallery.STATES))
def test_the_schema_accepts_a_reading_in_any_state(state: str) -> None:
    """The endpoint sends the same document."""
    Draft202012Validator(SCHEMA).validate(document(state))


@pytest.mark.parametrize(
    "defect",
    [{"provider": None}, {"remainingQuota": "7500"}, {"status": "fine"}, {"stale": None}, {"error": {}}],
)
def test_the_schema_refuses_another_document(defect: dict[str, object]) -> None:
    """It refuses a wrong type, an unknown status, an error without its parts, and a missing key."""
    (good,) = document("25 % used")["integrations"]
    missing = {name: value for name, value in good.items() if name not in defect}
    valid = [
        Draft202012Validator(SCHEMA).is_valid({"integrations": [reading]})
        for reading in (good, good | defect, missing)
    ]
    assert valid == [True, False, False]


def test_the_page_of_services_is_made_from_the_definitions() -> None:
    """`python -m scripts.services` writes it; no service is both in the catalogue and left out."""
    text = services.document()
    assert services.DOCUMENT.read_text(encoding="utf-8") == text
    labels = [catalogue.definition(name).label for name in catalogue.names()]
    assert [label for label in labels if f"\n| {label} |" in text.partition("left out")[2]] == []


@pytest.mark.parametrize(
    ("sources", "shown"),
    [
        ("", "; one source"),
        (", sources: [https://a.example]", "; [1](https://a.example) one source"),
        (
            ", sources: [https://a.example, https://b.example]",
            "; [1](https://a.example) [2](https://b.example)",
        ),
    ],
)
def test_the_page_of_services_links_the_sources(sources: str, shown: str) -> None:
    """Two independent sources are the rule, so it marks a service with one."""
    checked = f"checked: {{date: 2026-11-23, by: client code{sources}}}"
    text = f"label: A\n{checked}\nrequest: {{url: https://a.example}}\nquotas: [{{unit: x, used: u}}]\n"
    assert services.known_by(definition(text)) == f"client code, 2026-11-23{shown}"
