"""`python -m bench`: measure the candidates side by side, print the table, write it as JSON."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Final

from bench.lineup import PAIRED, TITLES
from bench.report import Report
from bench.rounds import Rounds
from tests.support.processes import ROOT

_JSON: Final = ROOT / "build" / "bench.json"
_DEFAULT: Final = ("empty", "script", "panel", "naive", *PAIRED)


def main() -> int:
    """Run it; 0 where every bar stands, 1 where one does not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=TITLES,
        default=_DEFAULT,
        help="some of the candidates (default: all but app); memory and workers start a panel to compare with",
    )
    parser.add_argument("--rounds", default=3, type=int, help="how often they take turns (default: 3)")
    parser.add_argument("--no-browser", action="store_true", help="leave Chromium out")
    parser.add_argument("--json", default=_JSON, type=Path, help="where the JSON goes (default: %(default)s)")
    arguments = parser.parse_args()
    shown = {*arguments.only, *(["panel"] if set(PAIRED) & set(arguments.only) else [])}
    report = Report({name: title for name, title in TITLES.items() if name in shown})
    began = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {step}", file=sys.stderr, flush=True)

    rounds = Rounds(report, arguments.only, say, turns=arguments.rounds, browser=not arguments.no_browser)
    asyncio.run(rounds.run())
    say("done")
    print(report.text())
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(f"{report.document()}\n", encoding="utf-8")
    return 0 if all(bar.passed for bar in report.bars()) else 1


if __name__ == "__main__":
    sys.exit(main())
