"""Runs the command `integrations` with providers that do what a file says, in place of IMAI.

The file is JSON: for each card's label what it answers, `{"remaining": "7500", "total": "10000", "unit": "credits",
"seconds": 0, "renews_days": 4, "error": null}` or a list of such with a "name" each. It is read at every call; the
calls are counted in the file beside it, a line each.
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
from integrations.errors import ErrorCode, ProviderError
from integrations.models import Quota
from integrations.providers.base import Provider
from integrations.settings import ProviderSettings


class Scripted(Provider[ProviderSettings]):
    """A provider that the file tells what to answer."""

    settings_class = ProviderSettings
    script: Path

    def fetch(self, http: object) -> list[Quota]:
        """What the file says, after the time that it says."""
        del http
        with self.script.with_suffix(".calls").open("a", encoding="utf-8") as calls:
            calls.write(f"{self.label}\n")
        answers = json.loads(self.script.read_text(encoding="utf-8"))[self.label]
        return [_quota(answer) for answer in (answers if isinstance(answers, list) else [answers])]


def _quota(answer: dict[str, Any]) -> Quota:
    time.sleep(answer.get("seconds", 0))
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
    labels = json.loads(script.read_text(encoding="utf-8"))
    kinds = (type("One", (Scripted,), {"label": label, "script": script}) for label in labels)
    return tuple(kind() for kind in kinds)


if __name__ == "__main__":
    accounts.replace(providers(Path(sys.argv.pop(1))))
    main()
