"""What was measured, what it must be, and how both are told: as a table and as JSON."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("streamlit", "uvicorn", "starlette", "websockets", "protobuf", "requests")


class Row(Enum):
    """The rows of the table: a title and a unit."""

    START = "Start, to the first answer, median", "s"
    WARM = "Warm rerun, median", "ms"
    WARM_P95 = "Warm rerun, p95", "ms"
    CLICK = "Warm rerun after a pause, median", "ms"
    CLICK_P95 = "Warm rerun after a pause, p95", "ms"
    FIRST = "First visit, median", "ms"
    FIRST_P95 = "First visit, p95", "ms"
    CROWD_50 = "50 viewers at once, p95 to the figures", "ms"
    CROWD_200 = "200 viewers at once, p95 to the figures", "ms"
    FAILED_200 = "200 viewers at once, failed", ""
    CALLS = "Upstream calls, 200 viewers x 3 reruns", ""
    THROUGHPUT = "Throughput", "reruns/s"
    MEMORY = "Memory per viewer", "KiB"
    TEN = "Ten providers of 1 s each", "s"
    REFRESH = "Refresh, above the provider's 300 ms", "ms"
    SIGN_IN = "Sign-in, Login to the figure", "ms"
    USAGE = "GET /integrations/usage", "requests/s"
    USAGE_P99 = "GET /integrations/usage, p99", "ms"
    BROWSER = "Chromium, fresh profile, to the figure", "ms"
    BROWSER_RELOAD = "Chromium, reload, to the figure", "ms"
    PAIRED_WARM = "Warm rerun, in pairs, median", "ms"
    WARM_BY_FILE = "Warm rerun, file / memory", ""
    WARM_BY_FILE_SPREAD = "Warm rerun, file / memory, spread", ""
    PAIRED_FIRST = "First visit, in pairs, median", "ms"
    FIRST_BY_FILE = "First visit, file / memory", ""
    FIRST_BY_FILE_SPREAD = "First visit, file / memory, spread", ""
    PAIRED_MEMORY = "Memory per viewer, in pairs, median", "KiB"
    MEMORY_BY_FILE = "Memory per viewer, file / memory", ""
    MEMORY_BY_FILE_SPREAD = "Memory per viewer, file / memory, spread", ""
    PAIRED_THROUGHPUT = "Throughput, in pairs, median", "reruns/s"
    BY_WORKERS = "Throughput, two workers / one", ""
    BY_WORKERS_SPREAD = "Throughput, two workers / one, spread", ""
    GENERATOR = "CPU of the load generator", "% of a core"
    PROCESS_MEMORY = "Memory of a process after that", "MiB"


@dataclass(frozen=True, slots=True)
class Result:
    """One cell: the value in the row's unit, and how many samples are behind it."""

    row: str
    unit: str
    candidate: str
    value: float
    samples: int


@dataclass(frozen=True, slots=True)
class Bar:
    """What must stand: a value, and the most or the least that it may be."""

    name: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it stands."""
        below = self.most is None or self.value <= self.most
        return below and (self.least is None or self.value >= self.least)

    @property
    def limits(self) -> str:
        """What it may be, in words."""
        ends = (("at least", self.least), ("at most", self.most))
        return ", ".join(f"{words} {limit:.4g}" for words, limit in ends if limit is not None)

    @property
    def line(self) -> str:
        """Whether it stands, and why, for people."""
        return f"{'pass' if self.passed else 'FAIL'}  {self.name:60}{short(self.value):>8}  {self.limits}"


@dataclass(slots=True)
class Report:
    """All that one run has measured."""

    candidates: dict[str, str]
    results: list[Result] = field(default_factory=list)

    def put(self, row: Row, candidate: str, value: float, samples: int = 1) -> None:
        """Fill a cell; the value in the row's unit."""
        title, unit = row.value
        self.results.append(Result(title, unit, candidate, value, samples))

    def get(self, row: Row, candidate: str) -> float | None:
        """A cell's value, or None where nothing was measured."""
        cells = (cell for cell in self.results if (cell.row, cell.candidate) == (row.value[0], candidate))
        return next((cell.value for cell in cells), None)

    def bars(self) -> list[Bar]:
        """The bars whose values were measured."""
        asked = [
            self._ratio(Row.START, "app", 1.3),
            self._ratio(Row.WARM, "empty", 0.4),
            self._ratio(Row.WARM, "script", 0.35),
            self._ratio(Row.CROWD_50, "script", 0.2),
            self._ratio(Row.MEMORY, "empty", 1.1),
            self._cell(Row.TEN, most=1.3),
            self._cell(Row.REFRESH, most=60),
            self._cell(Row.FAILED_200, most=0),
            self._cell(Row.CALLS, least=1, most=1),
            self._cell(Row.WARM_BY_FILE, most=1.03),
            self._cell(Row.FIRST_BY_FILE, most=1.03),
            self._cell(Row.MEMORY_BY_FILE, most=1.1),
            self._cell(Row.BY_WORKERS, "workers", least=1.6),
        ]
        return [bar for bar in asked if bar is not None]

    def _ratio(self, row: Row, other: str, limit: float) -> Bar | None:
        ours, theirs = self.get(row, "panel"), self.get(row, other)
        if ours is None or theirs is None:
            return None
        return Bar(f"{row.value[0]}: panel / {other}", ours / theirs if theirs > 0 else math.inf, limit)

    def _cell(
        self, row: Row, name: str = "panel", *, most: float | None = None, least: float | None = None
    ) -> Bar | None:
        value = self.get(row, name)
        title, unit = row.value
        if value is None:
            return None
        return Bar(f"{title}{f', {unit}' if unit else ''}: {name}", value, most, least)

    def text(self) -> str:
        """The table and the bars, for people."""
        names = list(self.candidates)
        lines = [f"{name:10}{what}" for name, what in self.candidates.items()]
        lines += ["", f"{'':42}{'':>12}" + "".join(f"{name:>10}" for name in names)]
        for row in Row:
            title, unit = row.value
            values = [self.get(row, name) for name in names]
            if any(value is not None for value in values):
                lines.append(f"{title:42}{unit:>12}" + "".join(f"{short(value):>10}" for value in values))
        lines.append("")
        lines += [bar.line for bar in self.bars()]
        lines += ["", machine_line()]
        return "\n".join(lines)

    def document(self) -> str:
        """The same as JSON."""
        bars = [{**asdict(bar), "passed": bar.passed} for bar in self.bars()]
        whole = {"machine": machine(), "candidates": self.candidates, "bars": bars}
        return json.dumps({**whole, "results": [asdict(cell) for cell in self.results]}, indent=2)


def machine() -> dict[str, str]:
    """Where and with what this runs."""
    found = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "cpu": _cpu(), "cores": str(os.cpu_count())}
    found |= {"system": platform.platform(terse=True), "python": platform.python_version()}
    return found | {name: version(name) for name in _PACKAGES}


def machine_line() -> str:
    """The same for people."""
    return ", ".join(f"{name} {value}" for name, value in machine().items())


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def short(value: float | None) -> str:
    """A value in the table: three digits of it."""
    if value is None:
        return "-"
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three digits tell enough
