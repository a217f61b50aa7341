"""The order of measuring. Where noise matters the candidates take turns, so that the machine's moods hit all alike."""

import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

from playwright.async_api import async_playwright

from bench import chromium, http_load, lineup, measure
from bench.lineup import Candidate
from bench.report import Report, Row, percentile

_MILLI: Final = 1000.0
_KIB: Final = 1024.0
_PROVIDERS: Final = 10
_CROWD: Final = 200
_STAYING: Final = 100
"""Viewers whose memory is weighed."""
_COUNTED: Final = frozenset({"panel", "naive"})
"""Whose calls to the provider are counted: `script` has the cache of `panel`, and would take minutes for it."""

Samples = dict[str, list[float]]
"""Seconds, by candidate."""


class Rounds:
    """One run of the benchmark, filling a report.

    Args:
        report: of the candidates that are measured.
        say: tells the person who waits what is being measured.
        turns: how often the candidates take turns.
        browser: whether Chromium is driven too.
    """

    def __init__(self, report: Report, say: Callable[[str], None], *, turns: int, browser: bool) -> None:
        self._report, self._say, self._turns, self._browser = report, say, turns, browser
        self._starts: Samples = defaultdict(list)

    async def run(self) -> None:
        """Measure everything."""
        async with AsyncExitStack() as stack:
            self._say("starting the candidates")
            running = [await stack.enter_async_context(self._start(name)) for name in self._report.candidates]
            for measured in (self._reruns, self._crowds_of_50, self._throughputs, self._refreshes):
                await measured(running)
            for candidate in running:
                if candidate.name == "panel" and candidate.cookie:
                    await self._sign_in_and_endpoint(candidate, candidate.cookie)
            if self._browser:
                await self._visits_by_browser(running)
        for name in self._report.candidates:
            await self._alone(name)
        for name, seconds in self._starts.items():
            self._report.put(Row.START, name, median(seconds), len(seconds))

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

        async def arrivals(candidate: Candidate) -> list[float]:
            found = await measure.crowd(candidate, 50)
            if found.failures:
                raise RuntimeError(f"{candidate.name} failed: {found.failures[0]}")
            return found.arrivals

        self._put_times(await self._taking_turns(running, arrivals, 2), None, Row.CROWD_50)

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
