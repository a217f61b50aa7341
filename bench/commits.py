"""`python -m bench.commits COMMIT`: is the page of the working tree as quick as it was in that commit?

Both panels run with the Python and the packages that run this. Each round starts new processes of both and takes pairs.
Exit status: 0 as quick, 1 slower, 2 not measured.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench import lineup, pairs
from bench.lineup import Candidate
from bench.pairs import Comparison, Sample
from bench.report import Bar, machine_line, short
from tests.support.processes import ROOT, HarnessError
from tests.support.viewer import ViewerError

MOST_SLOWER: Final = 0.03
"""What no run of a few minutes can tell from nothing; the bars of `python -m bench` allow as much."""
_RULE: Final = (
    f"now / before may be above 1 by {MOST_SLOWER:g}, or by twice the standard error of the rounds' ratios, whichever\n"
    "is more. Where it is much more, see what else the machine is doing, or give more rounds."
)


class CommitError(Exception):
    """Nothing can be measured; the text is a line that says why."""


@dataclass(slots=True)
class Line:
    """One line of the table: what is measured, in how many pairs a round, and what was found."""

    title: str
    sample: Sample
    pairs: int
    found: Comparison = field(default_factory=Comparison)

    @property
    def bar(self) -> Bar:
        """What must stand."""
        return Bar(f"{self.title}: now / before", self.found.ratio, 1 + max(MOST_SLOWER, self.found.error))


def unpack(commit: str, tree: Path, repository: Path = ROOT) -> str:
    """Put a commit's files into a folder. Gives its short id and its subject.

    Raises:
        CommitError: there is no such commit here, or no panel in it.
    """
    git = ("git", "-C", str(repository))
    shallow = _run(*git, "rev-parse", "--is-shallow-repository").strip() == b"true"
    try:
        name = _run(*git, "log", "-1", "--format=%h %s", f"{commit}^{{commit}}", "--").decode().strip()
    except CommitError:
        hint = "; this clone is shallow: git fetch --unshallow brings what is missing" if shallow else ""
        raise CommitError(f"there is no commit {commit} in {repository}{hint}") from None
    _run("tar", "-x", "-C", str(tree), given=_run(*git, "archive", f"{commit}^{{commit}}"))
    if not (tree / "integrations" / "__init__.py").is_file():  # what is installed would run in its place
        raise CommitError(f"there is no panel in {name}")
    return name


def _run(*command: str, given: bytes = b"") -> bytes:
    try:
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout  # noqa: S603 - no shell
    except FileNotFoundError:
        raise CommitError(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise CommitError(_last_line(error.stderr.decode(errors="replace"))) from None


def _last_line(told: str) -> str:
    return told.strip().rpartition("\n")[2]


@asynccontextmanager
async def start(name: str, tree: Path) -> AsyncIterator[Candidate]:
    """The panel of a tree, in new processes. No commit's panel is stopped by settings that came after it.

    Raises:
        CommitError: it does not start, or nobody can sign in.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _link_options(Path(folder), tree)
        async with AsyncExitStack() as stack:
            panel = lineup.start("panel", Path(folder), PYTHONPATH=str(tree))
            try:
                candidate = await stack.enter_async_context(panel)
            except (HarnessError, ViewerError, OSError, LookupError, ValueError) as error:
                told = f"the panel {name!r} does not start with the packages here: {_last_line(str(error))}"
                raise CommitError(told) from None
            yield replace(candidate, name=name)


def _link_options(folder: Path, tree: Path) -> None:
    """The tree's options for Streamlit, without the accounts and the state of whoever works there."""
    file = folder / ".streamlit" / "config.toml"
    file.parent.mkdir()
    file.symlink_to(tree / ".streamlit" / "config.toml")


async def compare(now: Path, before: Path, lines: Sequence[Line], *, rounds: int) -> None:
    """Measure both trees, into the lines."""
    for number in range(rounds):
        async with start("now", now) as ours, start("before", before) as theirs:
            for line in lines:
                await pairs.take(ours, theirs, line.sample, 2)  # the first ones pay for what is loaded late
                taken = await pairs.take(ours, theirs, line.sample, line.pairs, turn=number)
                line.found.rounds.append(taken)
        told = ", ".join(f"{Comparison(line.found.rounds[-1:]).ratio:.2f}" for line in lines)
        print(f"round {number + 1} of {rounds}, now / before: {told}", file=sys.stderr, flush=True)


def text(lines: Sequence[Line]) -> str:
    """The table, the bars and their rule, for people."""
    shown = [f"{'':42}{'':>12}{'now':>10}{'before':>10}{'ratio':>10}{'spread':>10}"]
    for line in lines:
        medians = "".join(f"{short(seconds * 1000):>10}" for seconds in line.found.medians)
        ratio = (
            f"{line.found.ratio:10.3f}{line.found.spread:10.3f}"  # where the bar is 1.03, 1.034 is above it
        )
        shown.append(f"{line.title:42}{'ms':>12}{medians}{ratio}")
    return "\n".join([*shown, "", *(line.bar.line for line in lines), "", _RULE, "", machine_line()])


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.commits", description=__doc__)
    parser.add_argument("commit", help="what the working tree is compared with")
    parser.add_argument("--rounds", default=8, type=int, help="two or more, half a minute each (default: 8)")
    arguments = parser.parse_args()
    if arguments.rounds < 2:  # noqa: PLR2004 - one tells nothing of the noise
        parser.error("--rounds: two or more")
    lines = [
        Line("Warm rerun, median", pairs.warm_rerun, 16),
        Line("First visit, median", pairs.first_visit, 16),
        Line("50 viewers at once, p95 to the figures", pairs.crowd_of_50, 6),
    ]
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            before = unpack(arguments.commit, Path(folder))
            now = _run("git", "-C", str(ROOT), "describe", "--always", "--dirty").decode().strip()
            print(f"now       the working tree, {now}\nbefore    {before}\n", flush=True)
            asyncio.run(compare(ROOT, Path(folder), lines, rounds=arguments.rounds))
    except (CommitError, ViewerError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(text(lines))
    return 0 if all(line.bar.passed for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
