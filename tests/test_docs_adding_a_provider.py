"""docs/adding-a-provider.md: its examples work word for word."""

import re
from pathlib import Path

import pytest

from integrations import accounts
from integrations.accounts import build
from integrations.accounts.build import load
from integrations.accounts.samples import compare
from integrations.files import yaml_file
from integrations.files.yaml_model import DefectsError
from integrations.providers import PYTHON
from integrations.quota.errors import ErrorCode
from integrations.readings import shared
from tests.providers.definitions import definition
from tests.providers.examples import acme
from tests.providers.examples.acme import Acme
from tests.providers.hostile import answer, hostile

DOCUMENT = (Path(__file__).parents[1] / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FILE, *PARTS, SAMPLE = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
TOKEN = answer(200, b'{"access_token": "test-token"}')
USAGE = answer(200, b'{"used": 12.5, "limit": 50, "resets_in": 86400}')


def test_the_example_in_python_is_the_one_that_is_linted_and_tried() -> None:
    """The page has the file word for word."""
    block = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)[0]
    assert block == Path(acme.__file__).read_text(encoding="utf-8")


def test_the_example_file_loads_word_for_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the accounts that the page names, also next to the example in Python."""
    monkeypatch.setattr(build, "PYTHON", {**PYTHON, "acme": Acme})
    path = tmp_path / "providers.yaml"
    path.write_text(FILE, encoding="utf-8")
    labels = [provider.label for provider in load(path)]
    assert labels == ["IMAI", "DeepL", "OpenRouter Marketing", "Modash", "Twilio", "Globex"]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.partition(":")[0])
def test_each_part_of_a_definition_loads_word_for_word(part: str) -> None:
    """Together with the parts that every definition has."""
    rest = {"request": "request: {url: https://a.example}\n", "quotas": "quotas: [{unit: x, used: u}]\n"}
    missing = [text for name, text in rest.items() if f"{name}:\n" not in part]
    definition("label: Globex\n" + part + "".join(missing))


def test_the_forms_in_the_tables_load_word_for_word() -> None:
    """Figures, the further keys of a quota, and the keys of a request."""
    figures = re.findall(r"^\| `(\{(?:path|header|first|sum).*?\})` \|", DOCUMENT, re.MULTILINE)
    assert len(figures) == 8
    for form in figures:
        definition(
            f"label: A\nrequest: {{url: https://a.example}}\nquotas: [{{unit: x, remaining: {form}}}]\n"
        )
    further = re.findall(r"^\| `((?:optional|unlimited|only_if|at_zero): .*?)` \|", DOCUMENT, re.MULTILINE)
    assert len(further) == 5
    for key in further:
        definition(f"label: A\nrequest: {{url: https://a.example}}\nquotas: [{{unit: x, used: u, {key}}}]\n")
    (row,) = re.findall(r"^\| `request.key` \|.*$", DOCUMENT, re.MULTILINE)
    places = re.findall(r"`(\{.*?\})`", row)
    assert len(places) == 4
    for place in places:
        request = f"{{url: https://a.example, key: {place}}}"
        definition(f"label: A\nrequest: {request}\nquotas: [{{unit: x, used: u}}]\n")


def test_the_sample_is_read_as_it_says(tmp_path: Path) -> None:
    """The definition of the example file reads it."""
    content = yaml_file.text_at(FILE, "services", "globex")
    assert content is not None
    content = content.replace("/v1/usage", "/v1/{project}/usage").replace(
        ", renews_at: {path: data.reset, format: epoch}", ""
    )
    (tmp_path / "definition.yaml").write_text(content, encoding="utf-8")
    (tmp_path / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    assert [comparison.is_equal for comparison in compare(tmp_path / "definition.yaml")] == [True, True]


def test_the_example_of_a_defect_is_the_real_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has the same sentence."""
    monkeypatch.chdir(tmp_path)
    path = Path(".streamlit/providers.yaml")
    path.parent.mkdir()
    path.write_text("accounts:\n  - service: imai\n  - service: deepl\n    key: sk-123\n", encoding="utf-8")
    with pytest.raises(DefectsError) as caught:
        load(path)
    assert f"Error: {caught.value}\n" in DOCUMENT


def test_the_readmes_example_has_three_accounts(tmp_path: Path) -> None:
    """It loads word for word."""
    (block,) = re.findall(r"```yaml\n(accounts:.*?)```", README, re.DOTALL)
    path = tmp_path / "providers.yaml"
    path.write_text(block, encoding="utf-8")
    assert [provider.label for provider in load(path)] == ["IMAI", "DeepL", "OpenRouter Marketing"]


@pytest.fixture
def acme_alone(monkeypatch: pytest.MonkeyPatch) -> Acme:
    """Make the provider of the document the only account."""
    monkeypatch.setenv("ACME_API_KEY", "test-key")
    accounts.replace((Acme(),))
    return Acme()


def test_the_example_in_python_reads_its_service(acme_alone: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its two calls, through cache and transport, over a real socket."""
    with hostile(TOKEN, USAGE) as server:
        monkeypatch.setenv("ACME_API_BASE_URL", server.url)
        (reading,) = shared.fresh_report().integrations
        assert b"Authorization: Bearer test-key" in server.requests[0]
        assert b"Authorization: Bearer test-token" in server.requests[1]
    assert (reading.provider, reading.unit, str(reading.remaining_quota)) == ("Acme", "USD", "37.5")
    assert reading.renews_at is not None


def test_its_own_error_code_is_understood(acme_alone: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 403 that says `plan_cancelled` is an inactive subscription."""
    with hostile(TOKEN, answer(403, b'{"problem": "plan_cancelled"}')) as server:
        monkeypatch.setenv("ACME_API_BASE_URL", server.url)
        error = shared.fresh_report().integrations[0].error
    assert error is not None
    assert error.code is ErrorCode.SUBSCRIPTION_INACTIVE
