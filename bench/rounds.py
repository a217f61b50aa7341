"""The order of measuring. Where noise matters the candidates take turns, so that the machine's moods hit all alike."""

import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from bench import chromium, http_load, measure, panel
from bench.lineup import LAUNCHES
from bench.measure import Candidate
from bench.report import Report, Row, median, percentile
from bench.upstream import Upstream

MILLI: Final = 1000.0
_KIB: Final = 1024.0
_REFRESH_DELAY: Final = 0.3
_PROVIDERS: Final = 10
_COUNTED: Final = frozenset("cd")
"""Whose upstream calls are counted: (b) has the cache of (c), and would take minutes for it."""
_ASKING: Final = frozenset("bcd")
"""Those that ask a provider."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        letters: of the candidates.
        rounds: how often the candidates take turns.
        browser: whether Chromium is driven too.
        large: viewers of the largest crowd.
        held: viewers whose memory is weighed.
    """

    letters: str = "abcd"
    rounds: int = 3
    browser: bool = True
    large: int = 200
    held: int = 100


class Rounds:
    """One run of the benchmark, filling a report."""

    def __init__(self, plan: Plan, report: Report, upstream: Upstream, say: Callable[[str], None]) -> None:
        self._plan, self._report, self._upstream, self._say = plan, report, upstream, say
        self._numbers = count()
        self._starts: defaultdict[str, list[float]] = defaultdict(list)

    async def run(self) -> None:
        """Measure everything."""
        async with AsyncExitStack() as stack:
            self._say("starting the candidates")
            running = [await stack.enter_async_context(self._start(name)) for name in self._plan.letters]
            await self._reruns(running)
            await self._crowds_of_50(running)
            await self._throughputs(running)
            await self._refreshes(running)
            await self._own(running)
            if self._plan.browser:
                await self._browser(running)
        for name in self._plan.letters:
            await self._alone(name)
        for name, seconds in self._starts.items():
            self._report.put(Row.START, name, median(seconds), len(seconds))

    @asynccontextmanager
    async def _start(self, name: str, *, providers: int = 1) -> AsyncIterator[Candidate]:
        """A candidate in a new process, with an upstream account of its own."""
        account = self._upstream.account(f"{name}{next(self._numbers)}")
        account.delay(1.0 if providers > 1 else 0.0)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            async with LAUNCHES[name](Path(folder), account, providers=providers) as candidate:
                self._starts[name].append(candidate.server.started)
                yield candidate

    async def _taking_turns(
        self,
        running: Iterable[Candidate],
        sample: Callable[[Candidate], Awaitable[list[float]]],
        rounds: int | None = None,
    ) -> dict[str, list[float]]:
        samples: defaultdict[str, list[float]] = defaultdict(list)
        candidates = list(running)
        for _ in range(rounds or self._plan.rounds):
            for candidate in candidates:
                samples[candidate.name] += await sample(candidate)
        return samples

    def _put_times(self, samples: dict[str, list[float]], middle: Row | None, high: Row | None) -> None:
        """Enter median and 95th percentile of times in seconds, as milliseconds."""
        for name, seconds in samples.items():
            if middle is not None:
                self._report.put(middle, name, median(seconds) * MILLI, len(seconds))
            if high is not None:
                self._report.put(high, name, percentile(seconds, 95) * MILLI, len(seconds))

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
                raise RuntimeError(f"({candidate.name}) failed {found.failures[0]}")
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
        asking = [candidate for candidate in running if candidate.account]
        samples = await self._taking_turns(
            asking, lambda candidate: measure.refreshes(candidate, 3, delay=_REFRESH_DELAY)
        )
        self._put_times(samples, Row.REFRESH, None)

    async def _own(self, running: list[Candidate]) -> None:
        """What the panel alone can do."""
        for candidate in running:
            if candidate.name == "c":
                self._say("sign-in and endpoint")
                self._put_times({"c": await panel.time_sign_ins(candidate, 10)}, Row.SIGN_IN, None)
                load = await http_load.get(f"{candidate.server.url}/integrations/usage", candidate.cookie)
                self._report.put(Row.USAGE, "c", load.per_second, len(load.seconds))
                high = percentile(load.seconds, 99) * MILLI
                self._report.put(Row.USAGE_P99, "c", high, len(load.seconds))

    async def _browser(self, running: list[Candidate]) -> None:
        self._say("Chromium")
        if not chromium.found():
            self._say("there is no Chromium: its rows stay empty")
            return
        async with chromium.chromium() as browser:

            async def both(candidate: Candidate) -> list[float]:
                fresh, reload = await chromium.visit(browser, candidate)
                return [fresh, reload]

            samples = await self._taking_turns(running, both)
        for name, pairs in samples.items():
            self._put_times({name: pairs[0::2]}, Row.BROWSER, None)
            self._put_times({name: pairs[1::2]}, Row.BROWSER_RELOAD, None)

    async def _alone(self, name: str) -> None:
        """What needs a process that is as new."""
        counted = name in _COUNTED
        self._say(f"({name}) {self._plan.large} viewers at once")
        async with self._start(name) as candidate:
            found = await measure.crowd(candidate, self._plan.large, reruns=3 if counted else 0)
            if found.arrivals:
                self._put_times({name: found.arrivals}, None, Row.CROWD_200)
            self._report.put(Row.FAILED_200, name, len(found.failures), self._plan.large)
            for failure in sorted(set(found.failures))[:3]:
                self._say(f"({name}) failed: {failure}")
            if counted and found.calls is not None:
                self._report.put(Row.CALLS, name, found.calls)
        self._say(f"({name}) memory")
        async with self._start(name) as candidate:
            held = self._plan.held
            weight = await measure.memory_per_viewer(candidate, held)
            self._report.put(Row.MEMORY, name, weight / _KIB, held)
        if name in _ASKING:
            self._say(f"({name}) {_PROVIDERS} providers")
            async with self._start(name, providers=_PROVIDERS) as candidate:
                self._report.put(Row.TEN, name, await measure.many_providers(candidate, _PROVIDERS))
