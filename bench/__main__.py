"""`python -m bench`: measure the candidates side by side, print the table, write it as JSON."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Final

from bench.lineup import TITLES
from bench.report import Report
from bench.rounds import Plan, Rounds
from bench.servers import ROOT
from bench.upstream import upstream

_JSON: Final = ROOT / "build" / "bench.json"


def main() -> int:
    """Run it; 0 where every bar stands, 1 where one does not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", default="abcd", metavar="LETTERS", help="some of the candidates, such as ac"
    )
    parser.add_argument("--rounds", default=3, type=int, help="how often they take turns (default: 3)")
    parser.add_argument("--no-browser", action="store_true", help="leave Chromium out")
    parser.add_argument("--json", default=_JSON, type=Path, help="where the JSON goes (default: %(default)s)")
    arguments = parser.parse_args()
    letters = "".join(letter for letter in TITLES if letter in arguments.only)
    plan = Plan(letters=letters, rounds=arguments.rounds, browser=not arguments.no_browser)
    report = Report({letter: TITLES[letter] for letter in letters})
    began = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {step}", file=sys.stderr, flush=True)

    with upstream() as peer:
        asyncio.run(Rounds(plan, report, peer, say).run())
    say("done")
    print(report.text())
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(f"{report.document()}\n", encoding="utf-8")
    return 0 if all(bar.passed for bar in report.bars()) else 1


if __name__ == "__main__":
    sys.exit(main())
