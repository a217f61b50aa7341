"""`integrations providers …`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from integrations import accounts
from integrations.accounts import catalogue
from integrations.accounts.file import ProvidersFile
from integrations.cli.main import main
from integrations.demo.server import Simulator
from integrations.files import yaml_model
from tests.providers import definitions
from tests.providers.hostile import answer, hostile

KEY = "test-key-0123456789"


def run(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["providers", *arguments])


@pytest.fixture
def providers_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the panel's file, which does not exist yet."""
    path = tmp_path / "providers.yaml"
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(path))
    return path


def test_list_shows_the_accounts_with_keys_and_floors_and_the_catalogue(
    providers_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows if a key is set, and never the key."""
    providers_file.write_text(
        "accounts: [{service: hypeauditor},"
        " {service: modash, low: {Credits: 1500}, critical: {Credits: 3, Raw requests: 0.5}}]"
    )
    monkeypatch.setenv("HYPEAUDITOR_AUTH_TOKEN", KEY)
    result = run("list")
    assert result.exit_code == 0
    hypeauditor, modash = result.stdout.splitlines()[1:3]
    assert re.search(r"HYPEAUDITOR_AUTH_ID \(not set\), HYPEAUDITOR_AUTH_TOKEN \(set\) +none$", hypeauditor)
    assert modash.endswith("Credits: low 1,500, critical 3; Raw requests: critical 0.5")
    assert all(f"\n{name} " in result.stdout for name in catalogue.names())
    assert KEY not in result.output


def test_list_as_json(providers_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script gets the same."""
    providers_file.write_text("accounts: [{service: imai, low: 10, critical: 2.5, note: Ours}]")
    monkeypatch.setenv("IMAI_API_KEY", KEY)
    document = json.loads(run("list", "--json").stdout)
    assert document["accounts"] == [
        {
            "label": "IMAI",
            "keys": [{"variable": "IMAI_API_KEY", "set": True}],
            "floors": [{"quota": None, "low": 10, "critical": 2.5}],
            "note": "Ours",
            "console": None,
        }
    ]
    twilio = next(service for service in document["services"] if service["name"] == "twilio")
    assert twilio["values"] == ["account_sid"]
    assert set(twilio) == {"name", "label", "keys", "values", "checked", "note"}


@pytest.mark.parametrize("name", catalogue.names())
def test_show_prints_what_can_be_pasted(name: str, tmp_path: Path) -> None:
    """Below `accounts` it is a service of the operator's own."""
    path = tmp_path / "providers.yaml"
    path.write_text("accounts: []\n" + run("show", name).stdout, encoding="utf-8")
    content, _ = yaml_model.read(path, ProvidersFile)
    assert content.services[name] == catalogue.definition(name)


OWN = """\
accounts: []
services:
    acme:
        # for sales
        label: Acme
        console: https://acme.example/billing
        checked: {date: 2026-11-23, by: client code, sources: [https://a.example/x, https://b.example/y]}
        request: {url: https://api.example.com/usage, key: {header: X-Key}}

        quotas:
            -   unit: credits
                used: used

    # not Acme's
    deepl: {label: Our DeepL, request: {url: https://example.com},
        quotas: [{unit: characters, used: count}]}
"""


@pytest.mark.parametrize("name", ["acme", "deepl"])
def test_show_prints_your_own_first_as_it_is_written(name: str, providers_file: Path, tmp_path: Path) -> None:
    """The comments are printed, but not the next service's; the text is the same definition again."""
    providers_file.write_text(OWN, encoding="utf-8")
    shown = run("show", name)
    assert shown.exit_code == 0, shown.output
    assert ("# for sales" in shown.stdout) == (name == "acme")
    assert "# not Acme's" not in shown.stdout
    copy = tmp_path / "copy.yaml"
    copy.write_text("accounts: []\n" + shown.stdout, encoding="utf-8")
    pasted, _ = yaml_model.read(copy, ProvidersFile)
    own, _ = yaml_model.read(providers_file, ProvidersFile)
    assert pasted.services == {name: own.services[name]}


def test_show_of_a_file_that_is_no_yaml_is_one_line(providers_file: Path) -> None:
    """It has the line's number; the exit code is 1."""
    providers_file.write_text("services: [\n", encoding="utf-8")
    result = run("show", "acme")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {providers_file}: line 2: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imai", "imai is written in Python and has no definition."),
        ("opnrouter", "There is no service 'opnrouter' (did you mean openrouter?). See: "),
    ],
)
def test_show_of_another_name_is_one_line(name: str, expected: str) -> None:
    """The exit code is 1."""
    result = run("show", name)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith(f"Error: {expected}")


def tried(body: bytes, monkeypatch: pytest.MonkeyPatch, text: str = "", **headers: str) -> Result:
    """Run `try` of Acme, or of another definition, with this answer of its service."""
    monkeypatch.setenv(definitions.VARIABLE, KEY)
    with hostile(answer(200, body, **headers)) as server:
        acme = definitions.acme(server.url)
        if text:
            definition = definitions.definition(text.replace("URL", server.url))
            acme = type(acme)(definition, acme.account)
        accounts.replace((acme,))
        return run("try", "Acme")


def test_try_shows_the_value_of_each_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row has the path, its value and the figure; then come the cards; exit 0."""
    result = tried(definitions.GOOD, monkeypatch)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "Acme",
        "  used   data.used   12.5  12.5",
        "  total  data.limit  50    50",
        "",
        "Acme: Remaining: $37.50; Used: $12.50 / $50.00",
    ]


WIDE = """
label: Acme
request: {url: URL/, key: {header: X-Key}}
quotas:
  - name: Wide
    unit: {path: cur}
    remaining: {header: X-Left, item: 2}
    used: {sum: [a, b]}
    total: {path: t, text: true, scale: "0.01"}
    renews_at: {path: at, format: iso}
"""


def test_try_shows_headers_sums_units_and_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row names the parts of the definition."""
    body = b'{"cur": "eur", "a": 1, "b": 2.5, "t": "1000", "at": "2026-12-01T00:00:00Z"}'
    lines = tried(body, monkeypatch, WIDE, X_Left="1, 6.5").stdout.splitlines()
    assert [re.split(" {2,}", line.strip()) for line in lines[1:6]] == [
        ["unit", "cur", '"eur"'],
        ["used", "a + b", "1 + 2.5", "3.5"],
        ["remaining", "header X-Left, item 2", '"6.5"', "6.5"],
        ["total", "t", '"1000"', "10.00"],
        ["renews_at", "at", '"2026-12-01T00:00:00Z"', "2026-12-01 00:00:00 UTC"],
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"data": {"used": null, "limit": 50}}', "  used   data.used   null  null is there"),
        (b'{"data": {"limit": 50}}', "  used   data.used   (nothing)  nothing is there"),
        (
            b'{"data": {"used": "12", "limit": 50}}',
            '  used   data.used   "12"  not readable: not a number as the definition expects it: a text',
        ),
        (
            b'{"data": {"used": {"a": 1}, "limit": 50}}',
            "  used   data.used   (an object of 1)  not readable: ",
        ),
    ],
)
def test_try_shows_why_a_figure_cannot_be_read(
    body: bytes, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is before the sentence of the card; exit 2."""
    result = tried(body, monkeypatch)
    assert result.exit_code == 2
    assert expected in result.stdout
    assert "Acme sent an answer that could not be read" in result.stdout


@pytest.mark.parametrize("key", [KEY, 'te"st\\key'])
def test_try_shows_neither_an_echoed_key_nor_a_long_text(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hides the key before it escapes anything, and shows at most 40 characters of a text."""
    monkeypatch.setattr(sys.modules[__name__], "KEY", key)
    output = tried(
        json.dumps({"data": {"used": f"<{key}>", "limit": "x" * 500}}).encode(), monkeypatch
    ).output
    assert '"<…>"' in output
    assert key not in output
    assert "x" * 39 in output
    assert "x" * 41 not in output


LISTS = """
label: Acme
request: {url: URL/, key: {header: X-Key}}
quotas:
  - {name: Cost, unit: USD, used: {sum: ["days[*].costs[*]"], empty: 0}, unlimited: {path: free, equals: true}}
  - {each: pools, name: {path: id}, unit: x, remaining: {first: [left, rest]}}
"""


def test_try_shows_each_element_of_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum has its first ten values, and each card its group; an unreadable card hides no other; exit 2."""
    days = [{"costs": []}, {"costs": [0.5, 1]}, {"costs": [2] * 20}]
    pools = [{"id": "A", "left": 5}, {"id": "B", "rest": None}, {"id": 7, "left": 1}]
    result = tried(json.dumps({"days": days, "free": False, "pools": pools}).encode(), monkeypatch, LISTS)
    lines = [re.split(" {2,}", line.strip()) for line in result.stdout.splitlines()]
    assert lines[:16] == [
        ["Cost"],
        ["used", "days[*].costs[*]", f"(an empty list) + 0.5 + 1{' + 2' * 7} + … (23 values)", "41.5"],
        ["unlimited", "free", "false", "no"],
        [""],
        ["pools[0]"],
        ["name", "id", '"A"'],
        ["remaining", "left or rest", "5", "5"],
        [""],
        ["pools[1]"],
        ["name", "id", '"B"'],
        ["remaining", "left or rest", "null", "null is there"],
        [""],
        ["pools[2]"],
        ["name", "id", "7"],
        ["remaining", "left or rest", "1", "1"],
        [""],
    ]
    cards = result.stdout.split("\n\n")[-1].splitlines()
    assert [card.partition(":")[0] for card in cards[:2]] == ["Acme Cost", "Acme A"]
    assert cards[2].startswith("Acme B: Unable to fetch quota.")
    assert cards[3].startswith(
        "The log would say: code=invalid_response http_status=200 (pools[1]: remaining: null"
    )
    assert cards[4].startswith("Acme pools[2]: Unable to fetch quota.")
    assert result.exit_code == 2


def test_try_shows_why_a_list_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No element of it is read."""
    result = tried(b'{"days": [], "pools": {"a": 1}}', monkeypatch, LISTS)
    lines = [re.split(" {2,}", line.strip()) for line in result.stdout.splitlines()]
    assert ["each", "pools", "(an object of 1)", "not readable: not a list"] in lines
    assert ["used", "days[*].costs[*]", "(an empty list)", "0"] in lines


def test_try_escapes_what_a_terminal_would_obey(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are control characters and marks that change the direction of text."""
    text = "a\x1b[31m\u202eb\r\n\u2066é"
    output = tried(json.dumps({"data": {"used": text, "limit": 5}}).encode(), monkeypatch).output
    assert '"a\\x1b[31m\\u202eb\\r\\n\\u2066é"' in output
    assert not {"\x1b", "\u202e", "\r", "\u2066"} & set(output)


def test_try_of_a_failure_is_exit_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints the sentence of the card and the line of the log."""
    monkeypatch.setenv(definitions.VARIABLE, KEY)
    with hostile(answer(401)) as server:
        accounts.replace((definitions.acme(server.url),))
        result = run("try", "Acme")
    assert result.exit_code == 2
    assert "Acme rejected the API key: check ACME_API_KEY." in result.stdout
    assert "code=authentication_failed http_status=401" in result.stdout


def test_try_reads_a_provider_in_python_too(imai: Simulator) -> None:
    """It has a card, but no paths."""
    result = run("try", "IMAI")
    assert (result.exit_code, result.stdout) == (
        0,
        "IMAI: Remaining: 7,500 credits; Used: 2,500 / 10,000 credits\n",
    )


def test_try_of_an_unknown_account_names_the_accounts(providers_file: Path) -> None:
    """The exit code is 1."""
    providers_file.write_text("accounts: [{service: deepl}, {service: deepl, name: B, key: B_API_KEY}]")
    result = run("try", "deepl")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: There is no account 'deepl'. The accounts are: DeepL, DeepL B\n",
    )


@pytest.mark.parametrize("command", [["list"], ["try", "IMAI"]])
def test_a_defect_of_the_file_is_exit_1_with_its_lines(providers_file: Path, command: list[str]) -> None:
    """The start of the panel reports them, too."""
    providers_file.write_text("accounts:\n  - service: 7\n  - nme: x\n")
    result = run(*command)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.rpartition("providers.yaml:")[2].split(":")[0] for line in lines] == ["2", "3", "3"]


DEFINITION = """\
label: Acme
docs: https://acme.example/docs
console: https://acme.example/billing
checked: {date: 2026-11-23, by: client code, sources: [https://a.example/x, https://b.example/y]}
request: {url: "https://{host}/v1", key: {header: X-Key}}
quotas:
  - {name: Left, unit: credits, remaining: left}
  - {name: Bonus, unit: credits, remaining: bonus}
"""
SAMPLE = """\
account: {values: {host: api.example.com}}
answers:
  - body: '{"left": 5.0, "bonus": 1}'
    readings:
      - {name: Left, unit: credits, remaining: "5"}
      - {name: Bonus, unit: credits, remaining: "1"}
  - body: '{"left": 0}'
    readings:
      - {name: Left, unit: credits, remaining: "0"}
      - {name: Bonus, unit: credits, error: invalid_response}
  - status: 401
    error: authentication_failed
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a definition and its sample into a folder."""
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "definition.yaml").write_text(DEFINITION, encoding="utf-8")
    (folder / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    return folder


@pytest.mark.parametrize("path", ["", "definition.yaml"])
def test_check_reads_the_sample_of_a_definition(folder: Path, path: str) -> None:
    """It takes a folder or a file, and prints each answer; exit 0."""
    result = run("check", str(folder / path))
    assert (result.exit_code, result.stdout) == (
        0,
        f"""{folder / "definition.yaml"}
  answer 1, HTTP 200: as expected
    read      name: Left, unit: credits, remaining: 5
    read      name: Bonus, unit: credits, remaining: 1
  answer 2, HTTP 200: as expected
    read      name: Left, unit: credits, remaining: 0
    read      name: Bonus, unit: credits, error: invalid_response
    problem   code=invalid_response http_status=200 (Bonus: remaining: nothing is there)
  answer 3, HTTP 401: as expected
    read      authentication_failed
""",
    )


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            'remaining: "5"',
            'remaining: "6"',
            [
                "  answer 1, HTTP 200: not as expected",
                "    expected  name: Left, unit: credits, remaining: 6",
            ],
        ),
        (
            "error: authentication_failed",
            "error: permission_denied",
            [
                "  answer 3, HTTP 401: not as expected",
                "    read      authentication_failed",
                "    expected  permission_denied",
            ],
        ),
        (
            '"bonus": 1}',
            '"bonus": "x"}',
            ["    problem   code=invalid_response http_status=200 (Bonus: remaining: not a number as the "],
        ),
    ],
)
def test_check_shows_how_an_answer_differs(folder: Path, old: str, new: str, lines: list[str]) -> None:
    """It prints the figures, the expected ones, and the reason of a failure; exit 1."""
    (folder / "sample.yaml").write_text(SAMPLE.replace(old, new), encoding="utf-8")
    result = run("check", str(folder))
    assert result.exit_code == 1
    assert all(line in result.stdout for line in lines), result.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "defect"),
    [
        ("definition.yaml", "remaining: left", "remaning: left", ":7: quotas[0].remaning: unknown key: "),
        ("sample.yaml", "status: 401", "status: none", ":11: answers[2].status: expected an HTTP status"),
        ("sample.yaml", "host:", "hst:", ":1: account.values: expected a value for host"),
    ],
)
def test_check_shows_a_defect_with_its_line(folder: Path, file: str, old: str, new: str, defect: str) -> None:
    """The defect is in either file; exit 1."""
    path = folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    result = run("check", str(folder))
    assert result.exit_code == 1
    assert f"{path}{defect}" in result.stderr


def test_check_without_a_sample_names_the_file_that_is_missing(folder: Path) -> None:
    """The exit code is 1."""
    (folder / "sample.yaml").unlink()
    result = run("check", str(folder))
    assert result.exit_code == 1
    assert result.stderr == f"Error: {folder / 'sample.yaml'}: there is no such file\n"


def test_the_schema_is_one_and_admits_what_the_file_admits() -> None:
    """It has the keys of the file, and a path may be a text."""
    document: dict[str, Any] = json.loads(run("schema").stdout)
    assert document["$schema"].startswith("https://json-schema.org/")
    assert set(document["properties"]) == {"order", "accounts", "services"}
    used = document["$defs"]["QuotaRule"]["properties"]["used"]
    assert {"type": "string"} in used["anyOf"]
    assert document["additionalProperties"] is False


@pytest.mark.parametrize("command", ["list", "show", "try", "check", "schema"])
def test_help_has_an_example(command: str) -> None:
    """The example can be copied."""
    assert f"integrations providers {command}" in run(command, "--help").stdout.partition("Example")[2]
