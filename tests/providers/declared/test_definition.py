"""Definitions: what is refused, and the sentence that the operator reads."""

import pytest
from pydantic import ValidationError

from integrations.files import yaml_file
from integrations.files.yaml_model import error_lines
from integrations.providers.declared.definition import Definition

GOOD = """\
label: Acme
icon: ":material/payments:"
docs: https://acme.example/docs
checked: {date: 2026-11-23, by: documentation}
request:
  url: https://api.acme.example/v1/usage
  key: {header: Authorization, prefix: "Bearer "}
  every: 1h
errors:
  - {status: 403, code: authentication_failed}
quotas:
  - {unit: USD, used: data.used, total: data.limit, renews_at: {path: data.reset, format: epoch}}
"""


def defects(text: str) -> list[str]:
    """The defects of a definition: line and sentence."""
    document = yaml_file.load(text)
    try:
        Definition.model_validate(document.value)
    except ValidationError as error:
        return [f"{line}: {told}" for line, told in error_lines(error, document)]
    return []


def test_a_good_definition_has_none() -> None:
    """And its key's variable is named after it."""
    assert defects(GOOD) == []
    document = Definition.model_validate(yaml_file.load(GOOD).value)
    assert document.variables("acme-2") == ("ACME_2_API_KEY",)


FORM = "expected an address such as https://api.example.com/v1/usage; a {placeholder} may stand in the path, "
TOGETHER = "expected path together with equals, not_equals, starts_with or codes"
CASES = {
    "label of two lines": (
        "Acme",
        '"a\\nb"',
        "1: label: expected the service's name for people, up to 60 characters",
    ),
    "no label": ("label: Acme\n", "", "1: label: missing: expected the service's name for people"),
    "an icon": (":material/payments:", "💰", "2: icon: expected a Material symbol"),
    "a date": ("2026-11-23", "yesterday", "4: checked.date: expected a date such as 2026-11-23"),
    "by whom": ("by: documentation", "by: me", "4: checked.by: expected one of: documentation, "),
    "ftp": ("https://api", "ftp://api", f"6: request.url: {FORM}"),
    "a user in the address": ("https://api", "https://u:p@api", f"6: request.url: {FORM}"),
    "a fragment": ("/usage", "/usage#x", f"6: request.url: {FORM}"),
    "a placeholder in the scheme": ("https://api", "x{s}://api", f"6: request.url: {FORM}"),
    "a placeholder in a part of the host": ("api.acme", "{a}.acme", f"6: request.url: {FORM}"),
    "a brace": ("/usage", "/{Usage}", "6: request.url: expected placeholders such as {account_id}"),
    "two places": (
        "prefix:",
        "query: k, prefix:",
        "7: request.key: expected exactly one of header, query, basic",
    ),
    "no place": (
        "header: Authorization, ",
        "",
        "7: request.key: expected exactly one of header, query, basic",
    ),
    "a prefix in the query": (
        "header: Authorization",
        "query: k",
        "7: request.key: expected prefix beside header",
    ),
    "a header's name": (
        "header: Authorization",
        "header: 'A b'",
        "7: request.key.header: expected the name of",
    ),
    "a misspelt place": (
        "header:",
        "heder:",
        "7: request.key.heder: unknown key: expected one of header, prefix, ",
    ),
    "a duration": ("1h", "hourly", "8: request.every: expected a time such as 1h, 10m or 30s"),
    "a body of a GET": ("every: 1h", "json: {a: 1}", "5: request: expected method: POST beside json"),
    "a status": ("403", "99", "10: errors[0].status: expected an HTTP status, 100 to 599"),
    "a code": ("authentication_failed", "nope", "10: errors[0].code: expected one of: "),
    "no code": (", code: authentication_failed", "", "10: errors[0]: expected either code or codes"),
    "a path alone": (
        "status: 403",
        "path: a",
        f"10: errors[0]: {TOGETHER}",
    ),
    "equals alone": (
        "status: 403",
        "equals: 1",
        f"10: errors[0]: {TOGETHER}",
    ),
    "both codes": (
        "status: 403",
        "path: a, codes: {b: timeout}",
        "10: errors[0]: expected either code or codes",
    ),
    "nothing to fit": ("status: 403, ", "", "10: errors[0]: expected status, path or both"),
    "no unit": (
        "unit: USD, ",
        "",
        "12: quotas[0].unit: missing: expected a word in the plural such as credits",
    ),
    "a long unit": ("unit: USD", f"unit: {'x' * 21}", "12: quotas[0].unit: expected a word in the plural"),
    "no figure": ("used: data.used, ", "", "12: quotas[0]: expected used or remaining"),
    "a path": ("data.used", "data..used", "12: quotas[0].used: expected a path such as data.credits"),
    "two sources": (
        "used: data.used",
        "used: {path: a, header: b}",
        "12: quotas[0].used: expected exactly one of path, first, header, sum",
    ),
    "no source": (
        "used: data.used",
        "used: {text: true}",
        "12: quotas[0].used: expected exactly one of path, ",
    ),
    "an item of a body": (
        "used: data.used",
        "used: {path: a, item: 1}",
        "12: quotas[0].used: expected item beside",
    ),
    "an unlimited use": (
        "used: data.used",
        "used: {path: a, unlimited: [1]}",
        "12: quotas[0]: expected unlimited beside total or remaining only",
    ),
    "a scale": (
        "used: data.used",
        "used: {path: a, scale: 1/2}",
        "12: quotas[0].used.scale: expected a decimal",
    ),
    "a format": ("epoch", "unix", "12: quotas[0].renews_at.format: expected one of: iso, date, epoch, "),
    "a moment from nowhere": (
        "path: data.reset, ",
        "",
        "12: quotas[0].renews_at: expected exactly one of",
    ),
    "the same quota twice": (
        "  - {unit: USD",
        "  - {unit: USD, used: a}\n  - {unit: USD",
        "1: expected a name of its own for each quota",
    ),
    "no quotas": (
        GOOD[GOOD.index("quotas:") :],
        "quotas: []",
        "11: quotas: expected a list of at least one quota",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_defect_is_told_with_its_line_and_what_was_expected(name: str) -> None:
    """One defect, one sentence."""
    old, new, told = CASES[name]
    assert old in GOOD
    (defect,) = defects(GOOD.replace(old, new, 1))
    assert defect.startswith(told)


def test_a_list_of_keys_needs_a_secret_each() -> None:
    """Two keys cannot come from one variable."""
    two = GOOD.replace('{header: Authorization, prefix: "Bearer "}', "[{query: a}, {query: b}]")
    assert defects(two) == ["5: request: expected a secret: of its own for each key, such as API_SECRET"]
    assert defects(two.replace("query: b", "query: b, secret: API_SECRET")) == []
