"""`integrations usage`: prints the JSON of the endpoint, for cron, scripts and monitors."""

import json
import sys
from typing import Any, Final, NoReturn

import click

from integrations import checks
from integrations.cli import nagios
from integrations.cli._shared import columns
from integrations.providers.base import Provider
from integrations.quota import states, words
from integrations.quota.models import UsageReport, usage_schema
from integrations.quota.rules import Level, Thresholds
from integrations.readings import fetch, shared
from integrations.settings import PanelSettings

_NOT_ALL_ACTIVE: Final = 2
_LEVEL_REACHED: Final = 3


@click.command()
@click.option("--table", is_flag=True, help="A table for people, instead of JSON.")
@click.option(
    "--nagios",
    "for_nagios",
    is_flag=True,
    help="A line for Nagios and compatible monitors, and their exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
)
@click.option("--schema", is_flag=True, help="The JSON Schema of the document; calls no provider.")
@click.option(
    "--fail-on",
    type=click.Choice([level.value for level in Level if level is not Level.OK]),
    help="Exit 3 if a quota has reached this level.",
)
def usage(*, table: bool, for_nagios: bool, schema: bool, fail_on: str | None) -> None:
    """Print the usage.

    Exit 0 if every provider is active, 2 if one is not, 1 if settings are wrong; with --fail-on, 3 if every provider
    is active and a quota has reached the level.
    """
    _refuse_together({"--table": table, "--nagios": for_nagios, "--schema": schema})
    _refuse_together({"--nagios": for_nagios, "--schema": schema, "--fail-on": fail_on is not None})
    if for_nagios:
        _print_for_nagios()
    if schema:
        click.echo(json.dumps(usage_schema(), indent=2, ensure_ascii=False))
        return
    _prepare()
    found = _asked()
    click.echo(_table(found) if table else found.model_dump_json(indent=2))
    if not found.all_active:
        sys.exit(_NOT_ALL_ACTIVE)
    if fail_on is not None and _has_reached(found, Level(fail_on)):
        sys.exit(_LEVEL_REACHED)


def _refuse_together(options: dict[str, bool]) -> None:
    """Refuse options of which only one would have an effect."""
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot be given together.")


def _prepare() -> PanelSettings:
    settings = checks.check_settings()
    checks.prepare_log(settings)
    return settings


def _asked() -> UsageReport:
    return fetch.get_all_integrations_usage(read=_read)


def _read(provider: Provider[Any]) -> fetch.Readings:
    """Fetch now; for a provider with `every`, share the panel's readings."""
    if provider.every is None:
        return fetch.fetch_readings(provider)
    return shared.of(provider).get_or_fetch()


def _has_reached(found: UsageReport, level: Level) -> bool:
    levels = (reading.level for reading in found.integrations if reading.level is not None)
    return any(found_level.severity >= level.severity for found_level in levels)


def _print_for_nagios() -> NoReturn:
    settings = _prepare()
    thresholds = Thresholds(warning=settings.warning_percent, critical=settings.critical_percent)
    state, line = nagios.plugin_output(_asked(), thresholds)
    click.echo(line)
    sys.exit(state)


def _table(found: UsageReport) -> str:
    rows: list[tuple[str, ...]] = [("Provider", "State", "Remaining", "Total", "Used", "%", "Unit")]
    for reading in found.integrations:
        figures = (
            reading.remaining_quota,
            reading.total_quota,
            reading.used_quota,
            reading.usage_percentage,
        )
        cells = ("-" if figure is None else words.amount(figure) for figure in figures)
        rows.append((reading.provider, states.badge(reading).word, *cells, reading.unit or "-"))
    failures = [
        f"{reading.provider}: {reading.error.message}" for reading in found.integrations if reading.error
    ]
    return "\n".join([*columns(rows), *failures])
