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


CASES = r"""
Acme => "a\nb" => 1: label: expected the service's name for people, up to 60 characters
label: Acme↵ =>  => 1: label: missing: expected the service's name for people
:material/payments: => 💰 => 2: icon: expected a Material symbol
2026-11-23 => yesterday => 4: checked.date: expected a date such as 2026-11-23
by: documentation => by: me => 4: checked.by: expected one of: documentation,
https://api => ftp://api => 6: request.url: expected an address such as https://api.example.com/v1/usage
/usage => /usage#x => 6: request.url: expected an address such as https://api.example.com/v1/usage
https://api => x{s}://api => 6: request.url: expected an address such as https://api.example.com/v1/usage
api.acme => {a}.acme => 6: request.url: expected an address such as https://api.example.com/v1/usage
/usage => /{Usage} => 6: request.url: expected placeholders such as {account_id}
prefix: => query: k, prefix: => 7: request.key: expected exactly one of header, query, basic
header: Authorization => query: k => 7: request.key: expected prefix together with header
header: Authorization => header: 'A b' => 7: request.key.header: expected the name of
header: => heder: => 7: request.key.heder: unknown key: expected one of header, prefix,
1h => hourly => 8: request.every: expected a time such as 1h, 10m or 30s
every: 1h => json: {a: 1} => 5: request: expected method: POST together with json
403 => 99 => 10: errors[0].status: expected an HTTP status, 100 to 599
authentication_failed => nope => 10: errors[0].code: expected one of:
, code: authentication_failed =>  => 10: errors[0]: expected either code or codes
status: 403 => equals: 1 => 10: errors[0]: expected path together with equals, not_equals, starts_with or codes
status: 403 => path: a, codes: {b: timeout} => 10: errors[0]: expected either code or codes
status: 403,  =>  => 10: errors[0]: expected status, path or both
unit: USD,  =>  => 12: quotas[0].unit: missing: expected a word in the plural such as credits
unit: USD => unit: xxxxxxxxxxxxxxxxxxxxx => 12: quotas[0].unit: expected a word in the plural
used: data.used,  =>  => 12: quotas[0]: expected used or remaining
data.used => data..used => 12: quotas[0].used: expected a path such as data.credits
used: data.used => used: {path: a, header: b} => 12: quotas[0].used: expected exactly one of path, first, header, sum
used: data.used => used: {path: a, item: 1} => 12: quotas[0].used: expected item together
used: data.used => used: {path: a, unlimited: [1]} => 12: quotas[0]: expected unlimited at total or remaining only
used: data.used => used: {path: a, scale: 1/2} => 12: quotas[0].used.scale: expected a decimal
epoch => unix => 12: quotas[0].renews_at.format: expected one of: iso, date, epoch,
path: data.reset,  =>  => 12: quotas[0].renews_at: expected exactly one of
used: data.used => used: "data[*].used" => 12: quotas[0].used: expected [*] in the paths of a sum only
used: data.used => used: {first: [a]} => 12: quotas[0].used.first: expected a list of paths; the first that finds a
used: data.used => used: {header: a, absent: 0} => 12: quotas[0].used: expected absent together with a path or a sum
used: data.used => used: {path: a, absent: 1} => 12: quotas[0].used.absent: expected 0:
used: data.used => used: {path: a, empty: 0} => 12: quotas[0].used: expected empty together with a sum with [*] only
unit: USD => each: data, name: Budget, unit: USD => 12: quotas[0]: expected name: {path: …} together with each: the
unit: USD => name: {path: a}, unit: USD => 12: quotas[0]: expected a name such as Searches, or each together with
unit: USD => name: "a\nb", unit: USD => 12: quotas[0].name: expected a name such as Searches, or {path: …} together
unit: USD => unlimited: {path: a}, unit: USD => 12: quotas[0].unlimited: expected path together with one of equals,
unit: USD => at_zero: gone, unit: USD => 12: quotas[0].at_zero: expected absent (no card at 0) or hidden
format: epoch => format: next_month => 12: quotas[0].renews_at: expected no path with next_month: it is the start of
format: epoch => format: date, text: true => 12: quotas[0].renews_at: expected text together with epoch, epoch_ms or
status: 403 => path: a, equals: 1, not_equals: 2 => 10: errors[0]: expected only one of equals, not_equals,
status: 403 => path: a, starts_with: '' => 10: errors[0].starts_with: expected the
/usage => /{month_start:week} => 6: request.url: unknown placeholder {month_start:week}: expected one of
api.acme.example => {year} => 6: request.url: expected an address such as https://api.example.com/v1/usage
every: 1h => headers: {Authorization: "Bearer {key}"} => 8: request.headers.Authorization: expected no {key}:
every: 1h => method: POST↵  json: {a: [{b: "{key}"}]} => 9: request.json: expected no {key}: request.key is the place
by: documentation => by: documentation, sources: ['http://a.example'] => 4: checked.sources[0]: expected
docs: => console: acme↵docs: => 3: console: expected the address of
  - {unit: USD =>   - {unit: USD, used: a}↵  - {unit: USD => 1: expected a name of its own for each quota
"""
"""What is replaced in the good definition, what replaces it, and the defect's line and sentence; ↵ is a new line."""


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_a_defect_is_a_line_and_what_was_expected(case: str) -> None:
    """One defect, one sentence."""
    old, new, sentence = case.replace("↵", "\n").split(" => ")
    assert old in GOOD
    (defect,) = defects(GOOD.replace(old, new, 1))
    assert defect.startswith(sentence)


def test_a_definition_needs_a_quota() -> None:
    """An empty list is a defect."""
    (defect,) = defects(GOOD[: GOOD.index("quotas:")] + "quotas: []")
    assert defect == "11: quotas: expected a list of at least one quota"


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
