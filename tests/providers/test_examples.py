"""The providers that are not shipped: each in its one file, each read as its service publishes it."""

import ast
import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations import cache
from integrations.models import Reading
from integrations.providers.base import Provider
from tests.providers.examples import Sample, number, providers
from tests.providers.hostile import answer, hostile

MOST_LINES = 40
EXAMPLES = providers()
CASES = [(provider, sample) for provider, samples in EXAMPLES for sample in samples]


def code_lines(source: str) -> int:
    """The lines of code, without blank ones and docstrings, as far as the sample."""
    code = source.partition("\n\nSAMPLES = ")[0]
    strings = {
        line
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return sum(
        1 for number, line in enumerate(code.splitlines(), 1) if line.strip() and number not in strings
    )


def test_there_are_at_least_six() -> None:
    """One would prove little."""
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(
    "provider", [provider for provider, _ in EXAMPLES], ids=lambda provider: provider.label
)
def test_a_provider_is_small(provider: Provider[Any]) -> None:
    """At most 40 lines of code, settings, response model and mapping included."""
    assert code_lines(inspect.getsource(inspect.getmodule(provider) or type(provider))) <= MOST_LINES


@pytest.mark.parametrize(
    ("provider", "sample"), CASES, ids=[f"{p.label}-{i}" for i, (p, _) in enumerate(CASES)]
)
def test_the_published_format_becomes_the_right_figures(
    provider: Provider[Any], sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Total, remaining, used, percentage, unit and level; what the answer does not tell is unknown."""
    kind = provider.settings_class
    named = {name.replace("-", "_"): text for name, text in sample.headers.items()}
    with hostile(answer(200, sample.body, **named)) as server:
        monkeypatch.setenv(kind.variable("api_base_url"), server.url)
        monkeypatch.setenv(provider.key_variable, "test-key")
        fresh: Provider[Any] = type(provider)()
        readings = cache.current_of_all([fresh]).integrations
        assert b"test-key" in server.requests[0]
        assert b"test-key" not in server.requests[0].partition(b"\r\n")[0]
    assert [figures(reading) for reading in readings] == [
        (label, *map(number, amounts), unit, level) for label, *amounts, unit, level in sample.readings
    ]
    for reading in readings:
        assert (reading.renews_at is not None) == sample.renews
        assert reading.renews_at is None or reading.renews_at > datetime(2026, 11, 1, tzinfo=UTC)


def figures(reading: Reading) -> tuple[object, ...]:
    """A reading in the sample's order."""
    return (
        reading.provider,
        reading.total_quota,
        reading.remaining_quota,
        reading.used_quota,
        reading.usage_percentage,
        reading.unit,
        reading.level,
    )
