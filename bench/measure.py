"""The measurements, one function each. Times are seconds, as the viewer sees them."""

import asyncio
import time

from bench.servers import FIGURE, Running
from tests.support.viewer import Viewer

CLICK_PAUSE_SECONDS = 2.1
"""The panel starts no fetch for a click within two seconds of the last one."""


async def first_visit(running: Running) -> float:
    """Return the time from connecting to the end of the script, for a new viewer."""
    async with running.viewer() as viewer:
        return await viewer.first_visit()


async def warm_reruns(running: Running, count: int) -> list[float]:
    """Return the times of reruns of a page that has been run before, back to back."""
    async with running.viewer() as viewer:
        await viewer.first_visit()
        await asyncio.sleep(0.5)
        for _ in range(3):
            await viewer.rerun()
        return [await viewer.rerun() for _ in range(count)]


async def crowd(running: Running, viewers: int) -> float:
    """Return the time until the last of this many viewers, who arrive at once, has the figures and an idle page."""

    async def arrive(viewer: Viewer) -> None:
        await viewer.open()
        await viewer.until(FIGURE)
        await viewer.finished()

    tabs = [running.viewer() for _ in range(viewers)]
    began = time.perf_counter()
    try:
        await asyncio.gather(*map(arrive, tabs))
        return time.perf_counter() - began
    finally:
        await asyncio.gather(*(tab.close() for tab in tabs))


async def click_to_refreshing(running: Running) -> float:
    """Return the time from a click on the first card to its badge "Refreshing …", with a provider of one second."""
    if running.simulator is None:
        raise ValueError("an empty page has no button")
    async with running.viewer() as viewer:
        await viewer.first_visit()
        running.simulator.control(latency_seconds=1)
        await asyncio.sleep(CLICK_PAUSE_SECONDS)
        await viewer.press("Refresh")
        taken = await viewer.until("Refreshing")
        running.simulator.control(latency_seconds=0)
        await asyncio.sleep(1)
        return taken


async def throughput(servers: tuple[Running, ...], *, viewers: int, seconds: float) -> float:
    """Return the reruns a second of this many viewers, shared out evenly, who ask again as soon as they can."""
    done = 0

    async def stay(running: Running) -> None:
        nonlocal done
        async with running.viewer() as viewer:
            await viewer.first_visit()
            await all_here.wait()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                await viewer.rerun()
                done += 1

    all_here = asyncio.Barrier(viewers)
    await asyncio.gather(*(stay(servers[number % len(servers)]) for number in range(viewers)))
    return done / seconds


async def memory_per_viewer(running: Running, viewers: int) -> float:
    """Return the bytes by which the server grows for each viewer who stays, once it is warm."""
    tabs: list[Viewer] = []
    try:
        for number in range(viewers + viewers // 4):
            if number == viewers // 4:
                before = running.server.memory()
            tabs.append(running.viewer())
            await tabs[-1].first_visit()
        await asyncio.sleep(0.5)
        return (running.server.memory() - before) / viewers
    finally:
        await asyncio.gather(*(tab.close() for tab in tabs))
