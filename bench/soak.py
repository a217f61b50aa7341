"""`python -m bench.soak`: thirty viewers click for ten minutes, while the provider fails every third call.

A person clicks every twenty seconds or so; these do every second. After a warm-up the server's memory must stay
within 5 %, every action must end without an error, and no thread of a run may remain when all have left.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Final

from bench import measure, servers
from bench.servers import Running
from tests.support.viewer import ViewerError

VIEWERS: Final = 30
WARM_UP: Final = 0.3
"""The part of the time in which memory may still grow: imports, threads, the allocator's arenas."""
MOST_GROWTH: Final = 0.05


async def view(running: Running, end: float, errors: list[str], actions: list[str]) -> None:
    """Click as one person until the end: rerun, refresh a card, refresh all, open the page again."""
    choose = random.Random()  # noqa: S311 - clicks, not secrets
    while time.monotonic() < end:
        try:
            async with running.viewer() as viewer:
                await viewer.first_visit()
                for _ in range(choose.randint(5, 30)):
                    if time.monotonic() >= end:
                        break
                    await asyncio.sleep(choose.uniform(0.5, 1.5))
                    labels = {item.content.label for item in viewer.screen.items() if item.kind == "button"}
                    action = choose.choice(
                        ["", "Refresh all", *["Retry" if "Retry" in labels else "Refresh"] * 2]
                    )
                    await (viewer.click(action) if action else viewer.rerun())
                    actions.append(action)
        except ViewerError as error:
            errors.append(str(error)[:200])


def threads(running: Running) -> int:
    """Count the server's threads."""
    return len(list(Path(f"/proc/{running.server.process.running.pid}/task").iterdir()))


async def soak(minutes: float) -> int:
    """Return 0 if memory is flat, nothing failed and no thread is left over."""
    errors: list[str] = []
    actions: list[str] = []
    memory: list[int] = []
    async with servers.panel(1, mode="flaky", PANEL_CACHE_TTL_SECONDS="1") as running:
        await measure.first_visit(running)
        before, began = threads(running), time.monotonic()
        end = began + minutes * 60
        viewers = [asyncio.create_task(view(running, end, errors, actions)) for _ in range(VIEWERS)]
        while time.monotonic() < end:
            await asyncio.sleep(5)
            used = running.server.memory()
            if time.monotonic() - began >= WARM_UP * (end - began):
                memory.append(used)
            status = f"{used / 2**20:6.1f} MiB  {threads(running)} threads  {len(actions)} actions"
            print(f"{time.monotonic() - began:4.0f} s  {status}", flush=True)
        await asyncio.gather(*viewers)
        await asyncio.sleep(15)
        after = threads(running)
    third = max(len(memory) // 3, 1)
    growth = statistics.median(memory[-third:]) / statistics.median(memory[:third]) - 1
    print(f"actions {len(actions)}, errors {len(errors)} {errors[:3]}")
    print(f"memory {growth:+.1%} after the warm-up (at most {MOST_GROWTH:.0%})")
    print(f"threads {before} before, {after} after")
    return 0 if not errors and growth <= MOST_GROWTH and after <= before + 2 else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    sys.exit(asyncio.run(soak(parser.parse_args().minutes)))
