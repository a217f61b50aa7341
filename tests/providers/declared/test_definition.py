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
        return [f"{line}: {sentence}" for line, sentence in error_lines(error, document)]
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
        "7: request.key: expected prefix together with header",
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
    "a body of a GET": ("every: 1h", "json: {a: 1}", "5: request: expected method: POST together with json"),
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
        "12: quotas[0].used: expected item together",
    ),
    "an unlimited use": (
        "used: data.used",
        "used: {path: a, unlimited: [1]}",
        "12: quotas[0]: expected unlimited at total or remaining only",
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
    "all elements outside a sum": (
        "used: data.used",
        'used: "data[*].used"',
        "12: quotas[0].used: expected [*] in the paths of a sum only",
    ),
    "all elements of a unit": (
        "unit: USD",
        'unit: {path: "a[*].b"}',
        "12: quotas[0].unit: expected [*] in the paths of a sum only",
    ),
    "a first of one": (
        "used: data.used",
        "used: {first: [a]}",
        "12: quotas[0].used.first: expected a list of paths; the first that finds a value is read",
    ),
    "an absent header": (
        "used: data.used",
        "used: {header: a, absent: 0}",
        "12: quotas[0].used: expected absent together with a path or a sum whose paths end in a key",
    ),
    "an absent element": (
        "used: data.used",
        'used: {path: "a[0]", absent: 0}',
        "12: quotas[0].used: expected absent together with a path or a sum whose paths end in a key",
    ),
    "an absent 1": (
        "used: data.used",
        "used: {path: a, absent: 1}",
        "12: quotas[0].used.absent: expected 0: ",
    ),
    "an absent false": (
        "used: data.used",
        "used: {path: a, absent: false}",
        "12: quotas[0].used.absent: expected 0",
    ),
    "an empty path": (
        "used: data.used",
        "used: {path: a, empty: 0}",
        "12: quotas[0].used: expected empty together with a sum with [*] only",
    ),
    "a list without a name": (
        "unit: USD",
        "each: data, name: Budget, unit: USD",
        "12: quotas[0]: expected name: {path: …} together with each: the field that names an element",
    ),
    "a name from the answer without a list": (
        "unit: USD",
        "name: {path: a}, unit: USD",
        "12: quotas[0]: expected a name such as Searches, or each together with name: {path: …}",
    ),
    "a name of two lines": (
        "unit: USD",
        'name: "a\\nb", unit: USD',
        "12: quotas[0].name: expected a name such as Searches, or {path: …} together with each",
    ),
    "a sign of no limit without a test": (
        "unit: USD",
        "unlimited: {path: a}, unit: USD",
        "12: quotas[0].unlimited: expected path together with one of equals, not_equals, starts_with",
    ),
    "another word at zero": (
        "unit: USD",
        "at_zero: gone, unit: USD",
        "12: quotas[0].at_zero: expected absent (no card at 0) or hidden",
    ),
    "a path of the next month": (
        "format: epoch",
        "format: next_month",
        "12: quotas[0].renews_at: expected no path with next_month: it is the start of the next month in UTC",
    ),
    "a text in a date": (
        "format: epoch",
        "format: date, text: true",
        "12: quotas[0].renews_at: expected text together with epoch, epoch_ms or seconds only",
    ),
    "two tests": (
        "status: 403",
        "path: a, equals: 1, not_equals: 2",
        "10: errors[0]: expected only one of equals, not_equals, starts_with, codes",
    ),
    "an empty beginning": (
        "status: 403",
        "path: a, starts_with: ''",
        "10: errors[0].starts_with: expected the ",
    ),
    "an unknown part of a month": (
        "/usage",
        "/{month_start:week}",
        "6: request.url: unknown placeholder {month_start:week}: expected one of {month_start:unix}, ",
    ),
    "a month for a host": ("api.acme.example", "{year}", f"6: request.url: {FORM}"),
    "a key in a header": (
        "every: 1h",
        'headers: {Authorization: "Bearer {key}"}',
        "8: request.headers.Authorization: expected no {key}: request.key is the place of the key",
    ),
    "a key in a body": (
        "every: 1h",
        'method: POST\n  json: {a: [{b: "{key}"}]}',
        "9: request.json: expected no {key}: request.key is the place of the key",
    ),
    "a source without https": (
        "by: documentation",
        "by: documentation, sources: ['http://a.example']",
        "4: checked.sources[0]: expected ",
    ),
    "a console that is no address": ("docs:", "console: acme\ndocs:", "3: console: expected the address of "),
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
def test_a_defect_is_a_line_and_what_was_expected(name: str) -> None:
    """One defect, one sentence."""
    old, new, sentence = CASES[name]
    assert old in GOOD
    (defect,) = defects(GOOD.replace(old, new, 1))
    assert defect.startswith(sentence)


WIDE = """\
label: Acme
console: https://acme.example/billing
checked: {date: 2026-11-23, by: client code, sources: [https://a.example/x, https://b.example/y]}
request:
  url: https://{host}/v1/{year}/{month}
  values: {user: nobody}
  query: {from: "{month_start:unix}", to: "{until}"}
  headers: {on-behalf-of: "{user}"}
  method: POST
  json: {query: "query { viewer { id } }", filter: [{since: "{month_start:iso}", project: "{project}"}]}
  key: {basic: "{key}"}
quotas:
  - {unit: USD, used: {sum: ["data[*].amount"], empty: 0, absent: 0}, total: {sum: [a, b], unlimited: [none]}}
  - {each: balances, name: {path: id}, unit: {path: unit}, remaining: {first: [a, b]}, at_zero: hidden}
"""


def test_an_account_fills_the_placeholders_that_are_not_built_in() -> None:
    """They may be in address, query, headers and body; other braces of a body are left alone, such as GraphQL's."""
    request = Definition.model_validate(yaml_file.load(WIDE).value).request
    assert request.placeholders == {"host", "until", "user", "project"}


def test_a_list_of_keys_needs_a_secret_each() -> None:
    """Two keys cannot come from one variable."""
    two = GOOD.replace('{header: Authorization, prefix: "Bearer "}', "[{query: a}, {query: b}]")
    assert defects(two) == ["5: request: expected a secret: of its own for each key, such as API_SECRET"]
    assert defects(two.replace("query: b", "query: b, secret: API_SECRET")) == []
