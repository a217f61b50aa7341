"""`integrations usage`: the endpoint's JSON without the endpoint, for cron and scripts."""

import sys
from typing import Final

import click

from integrations import service, startup
from integrations.cli import table
from integrations.models import UsageReport
from integrations.ui import texts

_NOT_ALL_ACTIVE: Final = 2


@click.command()
@click.option("--table", "as_table", is_flag=True, help="A table for people, instead of JSON.")
def usage(*, as_table: bool) -> None:
    """Print the usage; exit 0 if every provider is active, 2 if one is not, 1 if settings are wrong."""
    startup.prepare_log(startup.check_settings())
    found = service.get_all_integrations_usage()
    click.echo(_table(found) if as_table else found.model_dump_json(indent=2))
    if not found.all_active:
        sys.exit(_NOT_ALL_ACTIVE)


def _table(found: UsageReport) -> str:
    rows: list[tuple[str, ...]] = [("Provider", "State", "Remaining", "Total", "Used", "%", "Unit")]
    for reading in found.integrations:
        figures = (
            reading.remaining_quota,
            reading.total_quota,
            reading.used_quota,
            reading.usage_percentage,
        )
        cells = ("-" if figure is None else texts.amount(figure) for figure in figures)
        rows.append((reading.provider, texts.badge(reading).word, *cells, reading.unit))
    failures = [
        f"{reading.provider}: {reading.error.message}" for reading in found.integrations if reading.error
    ]
    return "\n".join([*table.lines(rows), *failures])
