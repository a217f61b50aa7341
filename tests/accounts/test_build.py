"""The providers' file: what it makes, and the sentence for every defect."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from integrations import accounts
from integrations.accounts.build import load
from integrations.files.yaml_model import DefectsError
from integrations.providers.declared.provider import DeclaredProvider
from integrations.providers.imai import Imai
from integrations.quota.rules import Floors

KEY = "sk-live-abc123"

ACME = """
services:
  acme:
    label: Acme
    request:
      url: https://api.acme.example/v1/usage
      key: {header: Authorization, prefix: "Bearer "}
    quotas:
      - {unit: USD, used: data.used, total: data.limit}
"""


def file(tmp_path: Path, text: str) -> Path:
    """A providers' file of this text."""
    path = tmp_path / "providers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_is_imai_alone(tmp_path: Path) -> None:
    """It reads the IMAI_* variables."""
    (provider,) = load(tmp_path / "none.yaml")
    assert isinstance(provider, Imai)
    assert (provider.label, provider.key_variable) == ("IMAI", "IMAI_API_KEY")


def test_the_accounts_are_in_the_files_order_with_names_and_keys_of_their_own(tmp_path: Path) -> None:
    """Two accounts at one service are two providers; a key's variable is named after the service, or as stated."""
    text = """
accounts:
  - service: openrouter
  - service: imai
  - service: openrouter
    name: Marketing
    key: OPENROUTER_MARKETING_API_KEY
  - service: imai
    name: Agency 2
  - service: hypeauditor
  - service: openrouter-credits
  - service: acme
"""
    providers = load(file(tmp_path, text + ACME))
    assert [(provider.label, provider.key_variable) for provider in providers] == [
        ("OpenRouter", "OPENROUTER_API_KEY"),
        ("IMAI", "IMAI_API_KEY"),
        ("OpenRouter Marketing", "OPENROUTER_MARKETING_API_KEY"),
        ("IMAI Agency 2", "IMAI_AGENCY_2_API_KEY"),
        ("HypeAuditor", "HYPEAUDITOR_AUTH_ID and HYPEAUDITOR_AUTH_TOKEN"),
        (providers[5].label, "OPENROUTER_CREDITS_API_KEY"),
        ("Acme", "ACME_API_KEY"),
    ]


@pytest.mark.parametrize(
    ("values", "host"),
    [("", "api.deepl.com"), (", values: {host: api-free.deepl.com}", "api-free.deepl.com")],
)
def test_a_definition_may_say_what_an_account_may_leave_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: str, host: str
) -> None:
    """DeepL's paying customers need no value; those of its free plan name the other host."""
    monkeypatch.setenv("DEEPL_API_KEY", "test-key")
    (provider,) = load(file(tmp_path, f"accounts: [{{service: deepl{values}}}]"))
    assert isinstance(provider, DeclaredProvider)
    assert provider.request(now=datetime.now(UTC)).url == f"https://{host}/v2/usage"


def test_an_own_definition_goes_before_the_catalogues(tmp_path: Path) -> None:
    """A definition can be copied and corrected."""
    own = ACME.replace("  acme:", "  deepl:")
    (provider,) = load(file(tmp_path, "accounts: [{service: deepl}]" + own))
    assert provider.label == "Acme"


def test_totals_and_renewals_are_by_quota_or_plain(tmp_path: Path) -> None:
    """A plain value if there is one quota, a mapping by name if there are several; exact."""
    text = """
accounts:
  - {service: modash, total: {Credits: 5000.10}, renewal_day: {Credits: 31}, renewal_time: {Credits: 06:30}}
  - {service: stability, total: 100, renewal_day: 1}
"""
    modash, stability = load(file(tmp_path, text))
    assert isinstance(modash, DeclaredProvider)
    assert isinstance(stability, DeclaredProvider)
    terms = modash.account.terms["Credits"]
    assert (str(terms.total), terms.renewal_day) == ("5000.10", 31)
    assert terms.renewal_time.isoformat() == "06:30:00"
    assert modash.account.terms["Raw requests"].total is None
    assert stability.account.terms[None].total == Decimal(100)


def test_floors_a_note_and_a_console_are_the_accounts(tmp_path: Path) -> None:
    """Floors are plain or by quota, as a total is; the account's console goes before the definition's."""
    text = """
accounts:
  - {service: acme, low: 10.5, critical: 3, note: Marketing's card, console: "https://acme.example/mine"}
  - {service: acme, name: B, key: B_API_KEY}
  - {service: modash, low: {Credits: 100}, critical: {Raw requests: 5}}
  - {service: imai, low: 500, note: Ask finance}
"""
    own = ACME.replace("label: Acme", "label: Acme\n    console: https://acme.example/billing")
    acme, other, modash, imai = load(file(tmp_path, text + own))
    assert acme.floors == {None: Floors(low=Decimal("10.5"), critical=Decimal(3))}
    assert (acme.note, acme.console) == ("Marketing's card", "https://acme.example/mine")
    assert (other.floors, other.note, other.console) == ({}, None, "https://acme.example/billing")
    assert modash.floors_of("Credits") == Floors(low=Decimal(100))
    assert modash.floors_of("Raw requests") == Floors(critical=Decimal(5))
    assert imai.floors_of(None) == Floors(low=Decimal(500))
    assert (imai.note, imai.console) == ("Ask finance", None)


def test_readings_of_other_floors_are_not_shown(tmp_path: Path) -> None:
    """Floors are part of the account's identity, as its total is; a note is not."""
    texts = ("low: 5", "low: 6", "low: 6, note: Ours")
    loaded = [load(file(tmp_path, f"accounts: [{{service: imai, {text}}}]"))[0] for text in texts]
    assert loaded[0].identity != loaded[1].identity == loaded[2].identity


def test_a_total_of_an_element_of_a_list_is_by_the_name_that_the_answer_gives(tmp_path: Path) -> None:
    """Its names are not known before; any may be stated."""
    each = ACME.replace("{unit: USD, used: data.used, total: data.limit}", EACH)
    (provider,) = load(file(tmp_path, "accounts: [{service: acme, total: {Spare: 5}}]" + each))
    assert isinstance(provider, DeclaredProvider)
    assert provider.account.terms["Spare"].total == Decimal(5)


EACH = "{each: list, name: {path: id}, unit: USD, remaining: left}"
NO_VARIABLE = "expected the NAME of an environment variable (capital letters, digits, _), never a key itself"
DEFECTS = {
    "empty": ("1: expected order, accounts, services", ""),
    "no accounts": (
        "1: accounts: missing: expected a list of entries such as - service: deepl",
        "services: {}",
    ),
    "not YAML": ("2: ", "accounts:\n  - {service: imai"),
    "alias": ("3: an alias is not possible here", "accounts:\n  - &a {service: imai}\n  - *a"),
    "an unknown order": (
        "1: order: expected urgency or file: the order of the cards on the page",
        "order: name\naccounts: []",
    ),
    "unknown key": (
        (
            "2: accounts[0].nmae: unknown key: expected one of service, name, key, values, total, low, critical, "
            "renewal_day, renewal_time, allow_http, note, console (did you mean name?)"
        ),
        "accounts:\n  - {service: imai, nmae: x}",
    ),
    "unknown service": (
        (
            "2: accounts[0].service: unknown service: expected one of your services, or one that "
            "`integrations providers list` shows (did you mean openrouter?)"
        ),
        "accounts:\n  - service: openruter",
    ),
    "a key in the file": (
        f"3: accounts[0].key: {NO_VARIABLE}",
        f"accounts:\n  - service: deepl\n    key: {KEY}",
    ),
    "http unasked": (
        "2: accounts[0]: expected allow_http: true, since the definition's address begins with http://",
        "accounts:\n  - service: acme\n" + ACME.replace("https://api", "http://api"),
    ),
    "the same card twice": (
        "3: accounts[1]: expected another name: there is a card 'DeepL' already",
        "accounts:\n  - service: deepl\n  - {service: deepl, key: DEEPL_B_API_KEY}",
    ),
    "the card of a quota's name twice": (
        "3: accounts[1].name: expected another name: there is a card 'Modash Credits' already",
        "accounts:\n  - service: modash\n  - {service: modash, name: Credits, key: MODASH_B_API_KEY}",
    ),
    "the very same account": (
        "3: accounts[1]: expected another key: an account above is the very same",
        "accounts:\n  - service: deepl\n  - {service: deepl, name: B}",
    ),
    "a plain total for a list": (
        "2: accounts[0].total: expected a mapping by quota: {NAME: …}",
        "accounts:\n  - {service: acme, total: 5}\n"
        + ACME.replace("{unit: USD, used: data.used, total: data.limit}", EACH),
    ),
    "a value in a header that is not ASCII": (
        "2: accounts[0].values.org: expected ASCII, as it is sent in a header",
        "accounts:\n  - {service: acme, values: {org: Zürich}}\n"
        + ACME.replace("key:", 'headers: {X-Org: "{org}"}\n      key:'),
    ),
    "a critical floor above the low one": (
        "4: accounts[0].critical: expected a number below low",
        "accounts:\n  - service: stability\n    low: 3\n    critical: 3.0",
    ),
    "a key for IMAI": (
        (
            "2: accounts[0].key: expected only service, name, low, critical, note, console here: imai is set by "
            "environment variables"
        ),
        "accounts:\n  - {service: imai, key: IMAI_2}",
    ),
    "a path that does not parse": (
        "10: services.acme.quotas[0].used: expected a path such as data.credits; it breaks off at character 5",
        "accounts: []\n" + ACME.replace("data.used", "data..used"),
    ),
    "IMAI again": (
        "3: services.imai: expected another name: the panel has a provider in Python of this one",
        "accounts: []" + ACME.replace("acme:", "imai:"),
    ),
    "a name in capitals": (
        "3: services.Acme: expected a name in lower case, with digits and hyphens",
        "accounts: []" + ACME.replace("acme:", "Acme:"),
    ),
}
ACCOUNT_DEFECTS = r"""
{service: 7} => .service: expected a service's name
{service: hypeauditor, key: [HYPEAUDITOR_KEY, sk-live-abc123]} => .key: expected the NAME of an environment
{service: hypeauditor, key: HYPEAUDITOR_KEY} => .key: expected 2 names of variables, as the service has keys
{service: hypeauditor, key: [HYPEAUDITOR_KEY, HYPEAUDITOR_KEY]} => .key: expected a variable of its own for
{service: twilio} => : expected a value for account_sid
{service: brave, values: {sid: x}} => .values.sid: unknown placeholder: expected no values
{service: twilio, values: {account_sid: "a\nb"}} => .values.account_sid: expected a text of one line
{service: twilio, values: {account_sid: ..}} => .values.account_sid: expected a text of one line
{service: litellm, values: {host: x/y@z}} => .values.host: expected a host such as proxy.example.com or
{service: deepl, allow_http: true} => .allow_http: expected no such key: the service has a fixed address with
{service: modash, total: 5} => .total: expected a mapping by quota: {Credits: …, Raw requests: …}
{service: modash, total: {Credit: 5}} => .total.Credit: unknown quota: expected Credits: …, Raw requests: …
{service: stability, total: 0} => .total: expected a positive number up to 10^12
{service: stability, renewal_day: 32} => .renewal_day: expected a day of the month, 1 to 31 (the last day)
{service: stability, renewal_time: 10:30} => .renewal_time: expected a renewal_day with it
{service: stability, renewal_day: 1, renewal_time: noon} => .renewal_time: expected a time in UTC, as HH:MM
{service: deepseek, low: 0} => .low: expected a positive number up to 10^12
{service: modash, low: 5} => .low: expected a mapping by quota: {Credits: …, Raw requests: …}
{service: imai, low: 3, critical: 10} => .critical: expected a number below low
{service: modash, critical: {Credit: 5}} => .critical.Credit: unknown quota: expected Credits: …, Raw requests:
{service: imai, low: {Credits: 5}} => .low.Credits: unknown quota: expected a plain value, as there is one quota
{service: deepl, note: "a\nb"} => .note: expected a sentence of one line
{service: deepl, note: ""} => .note: expected a sentence such as the account's owner, up to 300 characters
{service: deepl, console: http://deepl.com/} => .console: expected the address of the page for top-ups, https
{service: imai, name: 東京} => .name: expected a letter from A to Z or a digit: the account's variables are named
"""
"""An account on line 2, and the place and the sentence of its defect."""
DEFECTS |= {
    account: (f"2: accounts[0]{sentence}", f"accounts:\n  - {account}")
    for account, sentence in (case.split(" => ") for case in ACCOUNT_DEFECTS.strip().splitlines())
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_file_line_place_and_what_was_expected(name: str, tmp_path: Path) -> None:
    """One line, without any key."""
    expected, text = DEFECTS[name]
    path = file(tmp_path, text)
    with pytest.raises(DefectsError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{expected}")
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_all_defects_are_shown_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """Several accounts and several keys of one account may have defects."""
    text = "accounts:\n  - {service: 7, nmae: x}\n  - service: deepl\n    total: many\n"
    path = file(tmp_path, text)
    with pytest.raises(DefectsError) as caught:
        load(path)
    places = [line.removeprefix(f"{path}:").split(" ")[1] for line in str(caught.value).splitlines()]
    assert places == ["accounts[0].nmae:", "accounts[0].service:", "accounts[1].total:"]


@pytest.mark.parametrize(
    ("text", "expected"), [(" " * (1024 * 1024 + 1), "larger than 1 MiB"), ("\0", "character 1")]
)
def test_an_unreadable_file_is_a_defect(tmp_path: Path, text: str, expected: str) -> None:
    """With its path."""
    path = file(tmp_path, text)
    with pytest.raises(DefectsError, match=expected):
        load(path)


def test_plain_http_needs_the_accounts_permission_except_on_loopback(tmp_path: Path) -> None:
    """A placeholder for the host is asked over https, or over http if the account allows it."""
    text = """
accounts:
  - {service: litellm, values: {host: proxy.example.com}}
  - {service: litellm, name: B, values: {host: "10.0.0.5:4000"}, allow_http: true}
  - {service: acme}
""" + ACME.replace("https://api.acme.example", "http://127.0.0.1:9")
    providers = load(file(tmp_path, text))
    declared = [provider for provider in providers if isinstance(provider, DeclaredProvider)]
    urls = [provider._url({}, provider.account.values) for provider in declared]
    assert urls == [
        "https://proxy.example.com/key/info",
        "http://10.0.0.5:4000/key/info",
        "http://127.0.0.1:9/v1/usage",
    ]


def test_the_panel_reads_its_file_once_and_can_be_given_another_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers get the list that is in force."""
    path = file(tmp_path, "accounts: [{service: deepl}]")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(path))
    first = accounts.current()
    path.write_text("accounts: [", encoding="utf-8")
    assert accounts.current() is first
    accounts.replace(())
    assert accounts.current() == ()


def test_the_file_may_fix_the_order_of_the_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the page opens with the most urgent card."""
    path = file(tmp_path, "accounts: [{service: deepl}]")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(path))
    assert not accounts.keeps_order()
    file(tmp_path, "order: file\naccounts: [{service: deepl}]")
    accounts.replace(accounts.read())
    assert accounts.keeps_order()
