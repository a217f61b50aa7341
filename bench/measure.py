"""What is measured of a running candidate, one function a row. All times are seconds, seen by the client."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bench.lineup import FIGURE, Candidate
from tests.support.viewer import Viewer, ViewerError

CLICK_PAUSE_SECONDS: Final = 2.1
"""The panel lets a click on Refresh ask the provider two seconds after the last call, and not before."""
SETTLE_SECONDS: Final = 0.5
"""After a crowd, until what the server does behind the last message is over."""


@dataclass(slots=True)
class Crowd:
    """Many viewers at once.

    Attributes:
        arrivals: seconds until the figures stood, one for each viewer that was served.
        failures: what the others met.
        calls: to the upstream, all together; None where the candidate asks nobody.
    """

    arrivals: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    calls: int | None = None


async def first_visits(candidate: Candidate, count: int) -> list[float]:
    """From connecting to the end of the script, for one new viewer after the other."""
    seconds = []
    for _ in range(count):
        async with candidate.viewer() as viewer:
            seconds.append(await viewer.first_visit())
        await asyncio.sleep(SETTLE_SECONDS / 5)
    return seconds


async def warm_reruns(candidate: Candidate, count: int, *, pause: float = 0) -> list[float]:
    """From asking to the end of the script, of a page that has been run before.

    Args:
        candidate: that is measured.
        count: of reruns that are measured.
        pause: seconds between two; 0 is back to back, as a load tool asks, more is as a person clicks.
    """
    async with candidate.viewer() as viewer:
        await viewer.first_visit()
        for _ in range(3):
            await viewer.rerun()
        seconds = []
        for _ in range(count):
            await asyncio.sleep(pause)
            seconds.append(await viewer.rerun())
        return seconds


async def crowd(candidate: Candidate, viewers: int, *, reruns: int = 0) -> Crowd:
    """Viewers who all arrive at once and stay; each then runs the page so many times more, as fast as it can."""
    found = Crowd()
    before = candidate.simulator.calls() if candidate.simulator else 0

    async def one() -> None:
        try:
            async with candidate.viewer() as viewer:
                await viewer.open()
                found.arrivals.append(await viewer.until(FIGURE))
                await viewer.finished()
                for _ in range(reruns):
                    await viewer.rerun()
                await all_here.wait()
        except ViewerError as error:
            found.failures.append(str(error))
            await all_here.wait()

    all_here = asyncio.Barrier(viewers)
    async with asyncio.TaskGroup() as group:
        for _ in range(viewers):
            group.create_task(one())
    if candidate.simulator:
        found.calls = candidate.simulator.calls() - before
    await asyncio.sleep(SETTLE_SECONDS)
    return found


async def arrivals(candidate: Candidate, viewers: int) -> list[float]:
    """Seconds until the figures stood, of a crowd that is served whole.

    Raises:
        ViewerError: somebody was not.
    """
    found = await crowd(candidate, viewers)
    if found.failures:
        raise ViewerError(f"{candidate.name} failed: {found.failures[0]}")
    return found.arrivals


async def throughput(candidate: Candidate, *, viewers: int, seconds: float) -> float:
    """Reruns a second, with so many viewers who each ask again as soon as they are answered."""
    done = 0

    async def one(viewer: Viewer) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await viewer.rerun()
            done += 1

    async with _staying(candidate, viewers) as here:
        began = time.perf_counter()
        end = began + seconds
        await asyncio.gather(*(one(viewer) for viewer in here))
        return done / (time.perf_counter() - began)


async def memory_per_viewer(candidate: Candidate, viewers: int) -> float:
    """Bytes that the server's memory grows by for each viewer who stays, once it is warm.

    They come one after the other: what is measured is what a viewer holds, not the height of a rush.
    """
    async with _staying(candidate, viewers // 4):
        await asyncio.sleep(SETTLE_SECONDS)
        before = candidate.server.memory()
        async with _staying(candidate, viewers):
            await asyncio.sleep(SETTLE_SECONDS)
            return (candidate.server.memory() - before) / viewers


async def refreshes(candidate: Candidate, count: int, *, delay: float) -> list[float]:
    """A click on Refresh with a provider that takes `delay` seconds: what comes on top, to the end of the run."""
    simulator = candidate.simulator
    if simulator is None:
        raise ValueError("it asks nobody")
    seconds = []
    async with candidate.viewer() as viewer:
        await viewer.first_visit()
        simulator.control(latency_seconds=delay)
        for _ in range(count):
            before = simulator.calls()
            await asyncio.sleep(CLICK_PAUSE_SECONDS)
            seconds.append(await viewer.click("Refresh") - delay)
            if simulator.calls() != before + 1:
                raise ViewerError("Refresh did not ask the provider once")
        simulator.control(latency_seconds=0)
    return seconds


async def many_providers(candidate: Candidate, providers: int) -> float:
    """A first visit with nothing cached, from connecting until the figures of all providers stand."""
    async with candidate.viewer() as viewer:
        await viewer.open()
        return await viewer.until(FIGURE, times=providers)


@asynccontextmanager
async def _staying(candidate: Candidate, count: int) -> AsyncIterator[list[Viewer]]:
    """So many viewers who have come one after the other and stay until the end of the block."""
    viewers = [candidate.viewer() for _ in range(count)]
    try:
        for viewer in viewers:
            await viewer.first_visit()
        yield viewers
    finally:
        await asyncio.gather(*(viewer.close() for viewer in viewers))
