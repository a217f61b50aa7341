"""docs/adding-a-provider.md: its example runs as it stands there."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from integrations import cache
from integrations.errors import ErrorCode
from integrations.providers.base import Provider
from tests.providers.hostile import answer, hostile
from tests.providers.test_examples import MOST_LINES, code_lines

DOCUMENT = (Path(__file__).parents[1] / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)[0]
GOOD = b'{"used": 12.5, "limit": 50, "resets_in": 86400}'


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider[Any]:
    """The provider of the document, from a file of its own."""
    file = tmp_path / "acme_from_the_document.py"
    file.write_text(CODE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("ACME_API_KEY", "test-key")
    provider: Provider[Any] = module.Acme()
    return provider


def test_the_example_is_at_most_40_lines() -> None:
    """Without blank lines and docstrings."""
    assert code_lines(CODE) <= MOST_LINES


def test_the_example_reads_its_service(acme: Provider[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Through cache and transport, over a real socket."""
    with hostile(answer(200, GOOD)) as server:
        monkeypatch.setenv("ACME_API_BASE_URL", server.url)
        reading = cache.current_of_all([acme]).integrations[0]
        assert b"Authorization: Bearer test-key" in server.requests[0]
    assert (reading.provider, reading.unit, str(reading.remaining_quota)) == ("Acme", "USD", "37.5")
    assert reading.usage_percentage == 25
    assert reading.renews_at is not None


def test_the_examples_own_error_code_is_understood(
    acme: Provider[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 403 that says `plan_cancelled` is an inactive subscription."""
    with hostile(answer(403, b'{"problem": "plan_cancelled"}')) as server:
        monkeypatch.setenv("ACME_API_BASE_URL", server.url)
        error = cache.current_of_all([acme]).integrations[0].error
    assert error is not None
    assert error.code is ErrorCode.SUBSCRIPTION_INACTIVE
