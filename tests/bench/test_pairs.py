"""Pairs of samples, and what the report makes of them."""

import json
from pathlib import Path

import pytest

from bench import lineup, measure, pairs
from bench.lineup import Candidate
from bench.pairs import Comparison
from bench.report import Report, Row
from tests.support.processes import Process, Server, run_async


def candidate(name: str) -> Candidate:
    """One that does not run."""
    return Candidate(name, Server("", Process.__new__(Process), 0))


def test_who_begins_changes_from_pair_to_pair() -> None:
    """Whatever the second of two samples suffers from, both candidates suffer from it."""
    order: list[str] = []

    async def sample(asked: Candidate) -> float:
        order.append(asked.name)
        return len(order)

    taking = pairs.take(candidate("panel"), candidate("memory"), sample, 3)
    assert run_async(taking) == [(1, 2), (4, 3), (5, 6)]
    assert order == ["panel", "memory", "memory", "panel", "panel", "memory"]
    order.clear()
    assert run_async(pairs.take(candidate("panel"), candidate("memory"), sample, 1, turn=1)) == [(2, 1)]
    assert order == ["memory", "panel"]


def test_a_disturbed_pair_does_not_move_the_ratio() -> None:
    """It is the pairs' median; a mood of the machine that hits both of a pair does not count at all."""
    calm = [(1.02, 1.0)] * 4
    found = Comparison([[*calm, (20.4, 20.0)], [*calm, (50.0, 1.0)]])
    assert found.ratio == pytest.approx(1.02)
    assert found.medians == pytest.approx((1.02, 1.0))


def test_the_spread_is_between_the_rounds() -> None:
    """Rounds with new processes that differ are noise, be each ever so steady."""
    assert Comparison([[(1.0, 1.0)] * 3, [(1.1, 1.0)] * 3, [(1.05, 1.0)] * 3]).spread == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("row", "name", "value", "passed"),
    [
        (Row.WARM_BY_FILE, "panel", 1.03, True),
        (Row.WARM_BY_FILE, "panel", 1.04, False),
        (Row.FIRST_BY_FILE, "panel", 1.04, False),
        (Row.BY_WORKERS, "workers", 1.6, True),
        (Row.BY_WORKERS, "workers", 1.59, False),
        (Row.CALLS, "panel", 0, False),
        (Row.CALLS, "panel", 1, True),
        (Row.CALLS, "panel", 2, False),
    ],
)
def test_a_bar_holds_at_both_of_its_ends(row: Row, name: str, value: float, *, passed: bool) -> None:
    """What may cost 3 % passes with 3 and fails with 4; calls that nobody counted are no success."""
    report = Report({name: lineup.TITLES[name]})
    report.put(row, name, value)
    (bar,) = report.bars()
    assert bar.passed is passed
    assert f"{'pass' if passed else 'FAIL'}  {bar.name}" in report.text()
    assert json.loads(report.document())["bars"][0]["passed"] is passed


def test_each_worker_is_weighed(tmp_path: Path) -> None:
    """The candidate `workers` has two, both larger than a bare Python; its page is served."""

    async def weigh() -> tuple[float, list[int]]:
        async with lineup.start("workers", tmp_path) as running:
            rate = await measure.throughput(running, viewers=4, seconds=0.5)
            return rate, running.server.memory_of_workers()

    rate, weights = run_async(weigh())
    assert rate > 0
    assert len(weights) == 2
    assert min(weights) > 40 * 2**20
