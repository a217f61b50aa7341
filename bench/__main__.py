"""`python -m bench`: measure the panel next to an empty page of stock Streamlit; exit 1 if a ratio misses its bar.

The servers take turns, so that the machine's other work affects all alike. Only ratios within one run mean anything on
another machine.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median

from bench import measure, servers
from bench.servers import Running

Samples = dict[str, list[float]]


@dataclass(slots=True)
class Table:
    """The rows and bars, printed as they come.

    Attributes:
        failed: the bars that were missed.
    """

    failed: list[str] = field(default_factory=list)

    def row(self, title: str, unit: str, samples: Samples, scale: float = 1) -> None:
        """Print the median of each server's samples."""
        cells = "".join(f"{name:>14} {median(values) * scale:9.3g}" for name, values in samples.items())
        print(f"{title:38}{unit:>10}{cells}", flush=True)

    def bar(
        self,
        title: str,
        ours: list[float],
        theirs: list[float],
        *,
        most: float = float("inf"),
        least: float = 0,
    ) -> None:
        """Print the ratio of two medians, and whether it is within its bounds."""
        ratio = median(ours) / median(theirs)
        passed = least <= ratio <= most
        bound = f"at least {least:g}" if least else f"at most {most:g}"
        print(f"  {'pass' if passed else 'FAIL'}  {title:50}{ratio:8.3f}  {bound}", flush=True)
        if not passed:
            self.failed.append(title)


async def _in_turns(
    running: dict[str, Running], sample: Callable[[Running], Awaitable[list[float]]], rounds: int
) -> Samples:
    samples: Samples = {name: [] for name in running}
    for _ in range(rounds):
        for name, server in running.items():
            samples[name] += await sample(server)
    return samples


async def _pages(table: Table, rounds: int) -> None:
    """Compare pages of 1, 12 and 45 cards with an empty one."""
    async with AsyncExitStack() as stack:
        running = {"empty": await stack.enter_async_context(servers.empty_page())}
        for cards in (1, 12, 45):
            running[f"{cards} cards"] = await stack.enter_async_context(servers.panel(cards))

        async def warm(server: Running) -> list[float]:
            return await measure.warm_reruns(server, 15)

        async def first(server: Running) -> list[float]:
            return [await measure.first_visit(server) for _ in range(5)]

        async def crowd(server: Running) -> list[float]:
            return [await measure.crowd(server, 20)]

        async def click(server: Running) -> list[float]:
            return [await measure.click_to_refreshing(server) for _ in range(3)]

        async def memory(server: Running) -> list[float]:
            return [await measure.memory_per_viewer(server, 40)]

        warm_samples = await _in_turns(running, warm, rounds)
        table.row("Warm rerun", "ms", warm_samples, 1000)
        for name, most in {"1 cards": 0.15, "12 cards": 0.35, "45 cards": 1.0}.items():
            table.bar(f"Warm rerun: {name} / empty", warm_samples[name], warm_samples["empty"], most=most)
        table.row("First visit", "ms", await _in_turns(running, first, rounds), 1000)
        crowds = await _in_turns(running, crowd, rounds)
        table.row("20 viewers at once, the last one", "ms", crowds, 1000)
        table.bar("20 viewers at once: 45 cards / empty", crowds["45 cards"], crowds["empty"], most=1)
        clicks = await _in_turns({name: running[name] for name in ("1 cards", "45 cards")}, click, rounds)
        table.row('Click to "Refreshing …"', "ms", clicks, 1000)
        table.bar('Click to "Refreshing …": 45 cards / 1 card', clicks["45 cards"], clicks["1 cards"], most=2)
        pair = {name: running[name] for name in ("empty", "1 cards")}
        sizes = await _in_turns(pair, memory, 1)
        table.row("Memory per viewer", "KiB", sizes, 1 / 1024)
        table.bar("Memory per viewer: 1 card / empty", sizes["1 cards"], sizes["empty"], most=1.1)


async def _processes(table: Table, rounds: int) -> None:
    """Compare two processes of one panel, on one state, with one."""
    async with servers.panels(2, 1) as both:
        rates: Samples = {"one": [], "two": []}
        for _ in range(rounds):
            rates["one"].append(await measure.throughput(both[:1], viewers=16, seconds=3))
            rates["two"].append(await measure.throughput(both, viewers=16, seconds=3))
    table.row("Throughput by processes", "reruns/s", rates)
    table.bar("Throughput: two processes / one", rates["two"], rates["one"], least=1.6)


async def _shared_fetch(table: Table) -> None:
    """Count the provider's calls for a crowd on a cold cache."""
    async with servers.panel(1) as running:
        await measure.crowd(running, 50)
        calls = running.simulator.calls() if running.simulator else 0
    table.row("Calls to the provider, 50 viewers", "", {"1 cards": [calls]})
    table.bar("Calls to the provider: 50 viewers / 1 viewer", [calls], [1], most=1)


async def _run(rounds: int) -> int:
    table = Table()
    packages = ", ".join(f"{name} {version(name)}" for name in ("streamlit", "uvicorn"))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {packages}\n")
    await _pages(table, rounds)
    await _processes(table, rounds)
    await _shared_fetch(table)
    return 1 if table.failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often the servers take turns (default: 5)")
    sys.exit(asyncio.run(_run(parser.parse_args().rounds)))
