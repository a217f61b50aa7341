"""The order of measuring. Where noise matters the candidates take turns, so that the machine's moods hit all alike."""

import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

from playwright.async_api import async_playwright

from bench import chromium, http_load, lineup, measure, pairs
from bench.lineup import Candidate
from bench.pairs import Comparison
from bench.report import Report, Row, percentile

_MILLI: Final = 1000.0
_KIB: Final = 1024.0
_PROVIDERS: Final = 10
_CROWD: Final = 200
_STAYING: Final = 100
"""Viewers whose memory is weighed."""
_STATE_ROUNDS: Final = 2
"""For each turn: a difference of a hundredth needs more pairs of processes than one of a third."""
_COUNTED: Final = frozenset({"panel", "naive"})
"""Whose calls to the provider are counted: `script` has the cache of `panel`, and would take minutes for it."""

Samples = dict[str, list[float]]
"""By candidate; seconds where nothing else is said."""


class Rounds:
    """One run of the benchmark, filling a report.

    Args:
        report: to fill.
        names: of the candidates that are measured; those of `PAIRED` against a `panel` of their own.
        say: tells the person who waits what is being measured.
        turns: how often the candidates take turns.
        browser: whether Chromium is driven too.
    """

    def __init__(
        self, report: Report, names: Collection[str], say: Callable[[str], None], *, turns: int, browser: bool
    ) -> None:
        self._report, self._say, self._turns, self._browser = report, say, turns, browser
        self._names = [name for name in names if name not in lineup.PAIRED]
        self._paired = [name for name in names if name in lineup.PAIRED]
        self._starts: Samples = defaultdict(list)

    async def run(self) -> None:
        """Measure everything."""
        if self._names:
            await self._side_by_side()
        for name in self._names:
            await self._alone(name)
        for name in self._paired:
            await {"memory": self._states, "workers": self._workers}[name]()
        for name, seconds in self._starts.items():
            self._report.put(Row.START, name, median(seconds), len(seconds))

    async def _side_by_side(self) -> None:
        async with AsyncExitStack() as stack:
            self._say("starting the candidates")
            running = [await stack.enter_async_context(self._start(name)) for name in self._names]
            for measured in (self._reruns, self._crowds_of_50, self._throughputs, self._refreshes):
                await measured(running)
            for candidate in running:
                if candidate.name == "panel" and candidate.cookie:
                    await self._sign_in_and_endpoint(candidate, candidate.cookie)
            if self._browser:
                await self._visits_by_browser(running)

    @asynccontextmanager
    async def _start(self, name: str, *, providers: int = 1) -> AsyncIterator[Candidate]:
        """A candidate in a new process, with a provider's account of its own."""
        latency = 1.0 if providers > 1 else 0.0
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            launch = lineup.start(name, Path(folder), providers=providers, latency_seconds=latency)
            async with launch as candidate:
                self._starts[name].append(candidate.server.started)
                yield candidate

    async def _taking_turns(
        self,
        running: Iterable[Candidate],
        sample: Callable[[Candidate], Awaitable[list[float]]],
        turns: int | None = None,
    ) -> Samples:
        samples: Samples = defaultdict(list)
        for _ in range(turns or self._turns):
            for candidate in running:
                samples[candidate.name] += await sample(candidate)
        return samples

    def _put_times(self, samples: Samples, middle: Row | None, high: Row | None = None) -> None:
        """Enter median and 95th percentile of times in seconds, as milliseconds."""
        for name, seconds in samples.items():
            if middle is not None:
                self._report.put(middle, name, median(seconds) * _MILLI, len(seconds))
            if high is not None:
                self._report.put(high, name, percentile(seconds, 95) * _MILLI, len(seconds))

    async def _reruns(self, running: list[Candidate]) -> None:
        self._say("reruns and first visits")
        warm = await self._taking_turns(running, lambda candidate: measure.warm_reruns(candidate, 20))
        self._put_times(warm, Row.WARM, Row.WARM_P95)
        click = await self._taking_turns(
            running, lambda candidate: measure.warm_reruns(candidate, 8, pause=0.25)
        )
        self._put_times(click, Row.CLICK, Row.CLICK_P95)
        first = await self._taking_turns(running, lambda candidate: measure.first_visits(candidate, 10))
        self._put_times(first, Row.FIRST, Row.FIRST_P95)

    async def _crowds_of_50(self, running: list[Candidate]) -> None:
        self._say("50 viewers at once")
        samples = await self._taking_turns(running, lambda candidate: measure.arrivals(candidate, 50), 2)
        self._put_times(samples, None, Row.CROWD_50)

    async def _throughputs(self, running: list[Candidate]) -> None:
        self._say("throughput")

        async def rate(candidate: Candidate) -> list[float]:
            return [await measure.throughput(candidate, viewers=8, seconds=3)]

        for name, rates in (await self._taking_turns(running, rate, 2)).items():
            self._report.put(Row.THROUGHPUT, name, median(rates), len(rates))

    async def _refreshes(self, running: list[Candidate]) -> None:
        self._say("Refresh")
        asking = [candidate for candidate in running if candidate.simulator]
        samples = await self._taking_turns(
            asking, lambda candidate: measure.refreshes(candidate, 3, delay=0.3)
        )
        self._put_times(samples, Row.REFRESH)

    async def _sign_in_and_endpoint(self, panel: Candidate, cookie: str) -> None:
        self._say("sign-in and endpoint")
        self._put_times({"panel": await lineup.time_sign_ins(panel, 10)}, Row.SIGN_IN)
        load = await http_load.get(f"{panel.server.url}/integrations/usage", cookie)
        self._report.put(Row.USAGE, "panel", load.per_second, len(load.seconds))
        self._report.put(Row.USAGE_P99, "panel", percentile(load.seconds, 99) * _MILLI, len(load.seconds))

    async def _visits_by_browser(self, running: list[Candidate]) -> None:
        self._say("Chromium")
        async with async_playwright() as playwright:

            async def both(candidate: Candidate) -> list[float]:
                return list(await chromium.visit(playwright.chromium, candidate))

            samples = await self._taking_turns(running, both)
        self._put_times({name: pairs[0::2] for name, pairs in samples.items()}, Row.BROWSER)
        self._put_times({name: pairs[1::2] for name, pairs in samples.items()}, Row.BROWSER_RELOAD)

    async def _alone(self, name: str) -> None:
        """What needs a process that is as new."""
        self._say(f"{name}: {_CROWD} viewers at once")
        async with self._start(name) as candidate:
            found = await measure.crowd(candidate, _CROWD, reruns=3 if name in _COUNTED else 0)
            asks = candidate.simulator is not None
            if found.arrivals:
                self._put_times({name: found.arrivals}, None, Row.CROWD_200)
            self._report.put(Row.FAILED_200, name, len(found.failures), _CROWD)
            for failure in sorted(set(found.failures))[:3]:
                self._say(f"{name} failed: {failure}")
            if name in _COUNTED and found.calls is not None:
                self._report.put(Row.CALLS, name, found.calls)
        self._say(f"{name}: memory")
        async with self._start(name) as candidate:
            weight = await measure.memory_per_viewer(candidate, _STAYING)
            self._report.put(Row.MEMORY, name, weight / _KIB, _STAYING)
        if asks:
            self._say(f"{name}: {_PROVIDERS} providers")
            async with self._start(name, providers=_PROVIDERS) as candidate:
                self._report.put(Row.TEN, name, await measure.many_providers(candidate, _PROVIDERS))

    @asynccontextmanager
    async def _pair(self, first: str, second: str) -> AsyncIterator[tuple[Candidate, Candidate]]:
        async with self._start(first) as one, self._start(second) as other:
            yield one, other

    def _put_comparison(
        self, found: Comparison, names: tuple[str, str], rows: tuple[Row, Row, Row], *, scale: float = 1
    ) -> None:
        """Enter both medians, and in the first candidate's column ratio and spread."""
        values, ratio, spread = rows
        for name, value in zip(names, found.medians, strict=True):
            self._report.put(values, name, value * scale, len(found.pairs))
        self._report.put(ratio, names[0], found.ratio, len(found.pairs))
        if len(found.rounds) > 1:
            self._report.put(spread, names[0], found.spread, len(found.rounds))

    async def _states(self) -> None:
        """What the state's file costs."""

        async def weight(candidate: Candidate) -> float:
            return await measure.memory_per_viewer(candidate, _STAYING)

        reruns, visits, weights = Comparison(), Comparison(), Comparison()
        for turn in range(_STATE_ROUNDS * self._turns):
            self._say(f"file and memory, round {turn + 1}")
            async with self._pair("panel", "memory") as pair:
                for sample in (pairs.warm_rerun, pairs.first_visit):
                    await pairs.take(*pair, sample, 2)  # the first ones pay for what is loaded late
                reruns.rounds.append(await pairs.take(*pair, pairs.warm_rerun, 20))
                visits.rounds.append(await pairs.take(*pair, pairs.first_visit, 30))
                weights.rounds.append(await pairs.take(*pair, weight, 1, turn=turn))
        names = "panel", "memory"
        rows = Row.PAIRED_WARM, Row.WARM_BY_FILE, Row.WARM_BY_FILE_SPREAD
        self._put_comparison(reruns, names, rows, scale=_MILLI)
        rows = Row.PAIRED_FIRST, Row.FIRST_BY_FILE, Row.FIRST_BY_FILE_SPREAD
        self._put_comparison(visits, names, rows, scale=_MILLI)
        rows = Row.PAIRED_MEMORY, Row.MEMORY_BY_FILE, Row.MEMORY_BY_FILE_SPREAD
        self._put_comparison(weights, names, rows, scale=1 / _KIB)

    async def _workers(self) -> None:
        """What a second worker brings, and what each weighs after it."""
        names = "workers", "panel"
        busy: Samples = defaultdict(list)
        memory: Samples = defaultdict(list)

        async def rate(candidate: Candidate) -> float:
            began, cpu = time.perf_counter(), time.process_time()
            found = await measure.throughput(candidate, viewers=16, seconds=3)
            share = (time.process_time() - cpu) / (time.perf_counter() - began)
            busy[candidate.name].append(share * 100)
            return found

        found = Comparison()
        for turn in range(self._turns):
            self._say(f"two workers and one, round {turn + 1}")
            async with self._pair(*names) as pair:
                await pairs.take(*pair, rate, 1)  # until then both workers are ready
                found.rounds.append(await pairs.take(*pair, rate, 2))
                for candidate in pair:
                    server = candidate.server
                    memory[candidate.name] += server.memory_of_workers() or [server.memory()]
        rows = Row.PAIRED_THROUGHPUT, Row.BY_WORKERS, Row.BY_WORKERS_SPREAD
        self._put_comparison(found, names, rows)
        for name in names:
            self._report.put(Row.GENERATOR, name, median(busy[name]), len(busy[name]))
            self._report.put(Row.PROCESS_MEMORY, name, median(memory[name]) / _KIB**2, len(memory[name]))
