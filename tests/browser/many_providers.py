"""Runs the command `integrations` with providers that do what a file says, in place of IMAI.

The file is JSON: for each card's label what it answers, `{"remaining": "7500", "total": "10000", "unit": "credits",
"seconds": 0, "renews_days": 4, "error": null}` or a list of such with a "name" each. It is read at every call; one that
takes its time reads it again and again, and so ends as soon as the file says. The calls are counted in the file beside
it, a line each. "every_minutes" is read at the start. The clock is moved by the seconds in a third file.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from integrations import accounts
from integrations.cli.main import main
from integrations.providers.base import Provider
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import Quota
from integrations.settings import ProviderSettings
from tests.browser.moved_clock import moved_by


class Scripted(Provider[ProviderSettings]):
    """A provider that the file tells what to answer."""

    settings_class = ProviderSettings
    script: Path

    def fetch(self, http: object) -> list[Quota]:
        """What the file says, after the time that it says."""
        del http
        with self.script.with_suffix(".calls").open("a", encoding="utf-8") as calls:
            calls.write(f"{self.label}\n")
        began = time.monotonic()
        while began + max(answer.get("seconds", 0) for answer in self.answers()) > time.monotonic():
            time.sleep(0.02)
        return [_quota(answer) for answer in self.answers()]

    def answers(self) -> list[dict[str, Any]]:
        """What the file says now."""
        answers = _read(self.script)[self.label]
        return answers if isinstance(answers, list) else [answers]


def _read(script: Path) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(script.read_text(encoding="utf-8"))
    return answers


def _quota(answer: dict[str, Any]) -> Quota:
    if error := answer.get("error"):
        raise ProviderError(ErrorCode(error))
    days = answer.get("renews_days")
    return Quota(
        remaining=Decimal(answer["remaining"]),
        total=Decimal(answer["total"]) if "total" in answer else None,
        unit=answer.get("unit", "credits"),
        name=answer.get("name"),
        renews_at=datetime.now(UTC) + timedelta(days=days) if days else None,
    )


def providers(script: Path) -> tuple[Scripted, ...]:
    """Those of the file, in its order."""
    return tuple(_provider(script, label, answers) for label, answers in _read(script).items())


def _provider(script: Path, label: str, answers: Any) -> Scripted:
    minutes = answers.get("every_minutes") if isinstance(answers, dict) else None
    every = timedelta(minutes=minutes) if minutes else None
    count = len(answers) if isinstance(answers, list) else 1
    traits = {"label": label, "script": script, "every": every, "quota_count": count}
    kind: type[Scripted] = type("One", (Scripted,), traits)
    return kind()


if __name__ == "__main__":
    own_script = Path(sys.argv.pop(1))
    accounts.replace(providers(own_script))
    with moved_by(own_script.with_suffix(".seconds")):
        main()
