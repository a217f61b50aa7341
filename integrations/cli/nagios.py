"""Formats a report for Nagios, Icinga and compatible monitors.

Reference: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Plugin Return Codes".
"""

import sys
import traceback
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from typing import Final, NoReturn

import click

from integrations.quota import states, words
from integrations.quota.errors import ErrorCode
from integrations.quota.models import Reading, UsageReport
from integrations.quota.rules import Level, Thresholds


class State(IntEnum):
    """A plugin's state and exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_WORST_FIRST: Final = (State.CRITICAL, State.WARNING, State.UNKNOWN, State.OK)
_LEVELS: Final = {
    Level.OK: State.OK,
    Level.WARNING: State.WARNING,
    Level.CRITICAL: State.CRITICAL,
    Level.EXHAUSTED: State.CRITICAL,
    None: State.OK,  # not rated
}


def plugin_output(report: UsageReport, thresholds: Thresholds) -> tuple[State, str]:
    """Return the worst state, and the line with performance data.

    Args:
        report: every reading.
        thresholds: the warning and critical percentages of the performance data.
    """
    states = {_state(reading) for reading in report.integrations}
    worst = next((state for state in _WORST_FIRST if state in states), State.UNKNOWN)
    summary = "; ".join(map(_summary, report.integrations)) or "no integrations are set up"
    figures = " ".join(part for reading in report.integrations for part in _performance(reading, thresholds))
    line = line_of(worst, summary)
    return worst, f"{line} | {figures}" if figures else line


def line_of(state: State, text: str) -> str:
    """Return the plugin's line without performance data, which a bar would begin."""
    return f"INTEGRATIONS {state.name} - {' '.join(text.split())}".replace("|", "/")


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command that exits with the code of its state; any failure of the command is UNKNOWN.

    Nagios reads only standard output, and 1 and 2 mean WARNING and CRITICAL to it.
    """
    try:
        command()
        sys.exit(State.OK)  # only the help was printed
    except click.ClickException as error:
        text = error.format_message()
    except click.Abort:
        text = "interrupted"
    except Exception as error:  # noqa: BLE001 - of whatever kind
        traceback.print_exc()
        text = f"the command failed: {type(error).__name__}"
    click.echo(line_of(State.UNKNOWN, text))
    sys.exit(State.UNKNOWN)


def _state(reading: Reading) -> State:
    if reading.error is not None:
        return State.CRITICAL if reading.error.code is ErrorCode.QUOTA_EXHAUSTED else State.UNKNOWN
    return _LEVELS[reading.level]


def _summary(reading: Reading) -> str:
    if reading.error is not None:
        return f"{reading.provider}: {reading.error.message}"
    rating = "not rated" if reading.level is None else states.badge(reading).word
    parts = [rating, words.remaining(reading), words.used(reading, total_hint=None)]
    return f"{reading.provider}: {', '.join(filter(None, parts))}"


def _performance(reading: Reading, thresholds: Thresholds) -> list[str]:
    """Return `'label'=value[unit];warning;critical;minimum;maximum` of each known figure."""
    parts = []
    if reading.remaining_quota is not None:
        total = "" if reading.total_quota is None else f";;;;{_number(reading.total_quota)}"
        parts.append(f"{_label(reading, 'remaining')}={_number(reading.remaining_quota)}{total}")
    if reading.usage_percentage is not None:
        limits = f"{_number(thresholds.warning)};{_number(thresholds.critical)}"
        parts.append(f"{_label(reading, 'used')}={_number(reading.usage_percentage)}%;{limits}")
    return parts


def _label(reading: Reading, figure: str) -> str:
    """Return a quoted label, without an equals sign and with quotes doubled."""
    text = f"{reading.provider} {figure}".replace("=", "-").replace("|", "/").replace("'", "''")
    return f"'{text}'"


def _number(figure: Decimal) -> str:
    return f"{figure.normalize():f}"
