"""Two candidates in pairs: a sample of each, one right after the other, so that the machine's moods hit both alike."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median, stdev

from bench import measure
from bench.lineup import Candidate
from bench.report import percentile

Sample = Callable[[Candidate], Awaitable[float]]
"""Measures one value of a candidate."""


@dataclass(slots=True)
class Comparison:
    """The pairs of some rounds, each with new processes of both: two of the very same are never quite alike.

    Attributes:
        rounds: of each round its pairs, the first candidate's value first.
    """

    rounds: list[list[tuple[float, float]]] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """Of all rounds."""
        return [pair for pairs in self.rounds for pair in pairs]

    @property
    def medians(self) -> tuple[float, float]:
        """The first candidate's value, and the second's."""
        first, second = zip(*self.pairs, strict=True)
        return median(first), median(second)

    @property
    def ratio(self) -> float:
        """First to second: the median of the pairs' ratios, which a few disturbed pairs do not move."""
        return _ratio(self.pairs)

    @property
    def spread(self) -> float:
        """The noise: how far the lowest and the highest ratio of a round are apart."""
        ratios = [_ratio(pairs) for pairs in self.rounds]
        return max(ratios) - min(ratios)

    @property
    def error(self) -> float:
        """What the noise may do to the ratio: twice the standard error of two rounds' ratios or more."""
        return 2 * stdev(_ratio(pairs) for pairs in self.rounds) / math.sqrt(len(self.rounds))


async def take(
    first: Candidate, second: Candidate, sample: Sample, count: int, *, turn: int = 0
) -> list[tuple[float, float]]:
    """So many pairs; who begins changes from one to the next, and is the second where the turn is odd."""
    pairs = []
    for number in range(turn, turn + count):
        order = (first, second) if number % 2 == 0 else (second, first)
        taken = {candidate.name: await sample(candidate) for candidate in order}
        pairs.append((taken[first.name], taken[second.name]))
    return pairs


async def warm_rerun(candidate: Candidate) -> float:
    """Of ten reruns of one page the median."""
    return median(await measure.warm_reruns(candidate, 10))


async def first_visit(candidate: Candidate) -> float:
    """One new viewer's."""
    return median(await measure.first_visits(candidate, 1))


async def crowd_of_50(candidate: Candidate) -> float:
    """When the figures stand for 95 % of fifty viewers."""
    return percentile(await measure.arrivals(candidate, 50), 95)


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return median(first / second for first, second in pairs)
