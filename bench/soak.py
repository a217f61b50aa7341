"""`python -m bench.soak`: thirty viewers click for ten minutes, while the provider fails every third call.

A person looks again every twenty seconds or so; these do it every second. After a warm-up the server's memory must stay
within 5 %, every action must end without an error, and when all have left no thread of a run may remain.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from bench import panel
from bench.measure import Candidate
from bench.upstream import upstream
from bench.viewer import Viewer, ViewerError

VIEWERS: Final = 30
PAUSE_SECONDS: Final = 1.0
WARM_UP: Final = 0.3
"""The part of the time in which memory may still grow: imports, threads, the allocator's arenas."""
MOST_GROWTH: Final = 0.05


async def view(candidate: Candidate, end: float, errors: list[str], done: list[int]) -> None:
    """One person's clicks until the end: look again, refresh a card, refresh all, open the page anew."""
    choose = random.Random()  # noqa: S311 - clicks, not secrets
    while time.monotonic() < end:
        try:
            async with candidate.viewer() as viewer:
                await viewer.first_visit()
                for _ in range(choose.randint(5, 30)):
                    if time.monotonic() >= end:
                        break
                    await asyncio.sleep(choose.uniform(0.5, 1.5) * PAUSE_SECONDS)
                    await _act(viewer, choose)
                    done[0] += 1
        except ViewerError as error:
            errors.append(str(error)[:200])


async def _act(viewer: Viewer, choose: random.Random) -> None:
    labels = [item.content.label for item in viewer.screen.items() if item.kind == "button"]
    action = choose.choice(["look", "card", "card", "all"])
    if action == "look":
        await viewer.rerun()
    elif action == "all":
        await viewer.click("Refresh all")
    else:
        await viewer.click("Retry" if "Retry" in labels else "Refresh")


async def samples(candidate: Candidate, end: float) -> AsyncIterator[tuple[float, int, int]]:
    """Every five seconds: how much of the time is over, memory in bytes, threads."""
    began = time.monotonic()
    while time.monotonic() < end:
        await asyncio.sleep(5)
        share = (time.monotonic() - began) / (end - began)
        yield share, candidate.server.memory(), threads(candidate)


def threads(candidate: Candidate) -> int:
    """The server's threads."""
    return len(list(Path(f"/proc/{candidate.server.pid}/task").iterdir()))


async def soak(minutes: float) -> int:
    """Do it; 0 where memory is flat, nothing failed and no thread is left over."""
    errors: list[str] = []
    done = [0]
    settings = {"PANEL_CACHE_TTL_SECONDS": "1"}
    with upstream() as peer, tempfile.TemporaryDirectory() as folder:
        account = peer.account("flaky")
        async with panel.served(Path(folder), account, extra=settings) as candidate:
            async with candidate.viewer() as viewer:
                await viewer.first_visit()
            before = threads(candidate)
            end = time.monotonic() + minutes * 60
            viewers = [asyncio.create_task(view(candidate, end, errors, done)) for _ in range(VIEWERS)]
            memory: list[tuple[float, int]] = []
            async for share, used, running in samples(candidate, end):
                memory.append((share, used))
                print(
                    f"{share:4.0%}  {used / 2**20:6.1f} MiB  {running} threads  {done[0]} actions", flush=True
                )
            await asyncio.gather(*viewers)
            await asyncio.sleep(15)
            after = threads(candidate)
            calls = account.calls()
    settled = [used for share, used in memory if share >= WARM_UP]
    third = max(len(settled) // 3, 1)
    growth = statistics.median(settled[-third:]) / statistics.median(settled[:third]) - 1
    print(f"actions {done[0]}, calls to the provider {calls}, errors {len(errors)} {errors[:3]}")
    print(f"memory {growth:+.1%} after the warm-up (at most {MOST_GROWTH:.0%})")
    print(f"threads {before} before, {after} after")
    return 0 if not errors and growth <= MOST_GROWTH and after <= before + 2 else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    sys.exit(asyncio.run(soak(parser.parse_args().minutes)))
