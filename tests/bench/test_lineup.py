"""A quick part of the benchmark, with generous bounds: a slip of the speed is noticed, a busy machine is forgiven."""

import asyncio
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import lineup, measure

VIEWERS = 20


@dataclass(frozen=True)
class Measured:
    """What one run gave: medians in seconds."""

    stock: float
    ours: float
    crowd: measure.Crowd


async def _measure(folder: Path) -> Measured:
    empty, store = folder / "empty", folder / "panel"
    for made in (empty, store):
        made.mkdir()
    theirs: list[float] = []
    seconds: list[float] = []
    async with lineup.start("empty", empty) as stock, lineup.start("panel", store) as ours:
        for _ in range(3):
            theirs += await measure.warm_reruns(stock, 15)
            seconds += await measure.warm_reruns(ours, 15)
        crowd = await measure.crowd(ours, VIEWERS, reruns=1)
    return Measured(statistics.median(theirs), statistics.median(seconds), crowd)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """Stock Streamlit with one line, and the panel, side by side in one run."""
    with ThreadPoolExecutor() as pool:  # in a thread of its own: Playwright keeps a loop in the main one
        yield pool.submit(asyncio.run, _measure(tmp_path_factory.mktemp("bench"))).result()


def test_a_full_card_is_quicker_than_an_empty_stock_page(measured: Measured) -> None:
    """A warm rerun of the panel takes less than 0.6 of an empty page's under stock `streamlit run`."""
    assert measured.ours < 0.6 * measured.stock


def test_a_crowd_is_served_from_what_is_kept(measured: Measured) -> None:
    """All of them get their card, and the provider is not asked again for it."""
    assert measured.crowd.failures == []
    assert len(measured.crowd.arrivals) == VIEWERS
    assert measured.crowd.calls == 0
