"""Helpers that several subcommands share."""

from collections.abc import Sequence
from typing import Final

import click

from integrations import checks
from integrations.access.credentials import normal_name
from integrations.settings import PanelSettings
from integrations.state import file_of


def _normal(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    return normal_name(name)


name_argument: Final = click.argument("name", callback=_normal)
"""The argument NAME, spelled as the store keeps names."""


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, with every cell padded to the width of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def require_panels_state(known: str) -> PanelSettings:
    """Return the settings if this process can reach the state that the panel uses.

    Args:
        known: facts that only the panel has with memory://, and the remedy; part of the error.

    Raises:
        ClickException: the state is the panel's own memory, or a missing file.
        StartError: settings are wrong.
    """
    settings = checks.check_settings()
    checks.prepare_log(settings)
    url = settings.state_url.get_secret_value()
    if url == "memory://":
        raise click.ClickException(f"PANEL_STATE_URL: with memory:// only the panel itself knows {known}.")
    file = file_of(url)
    if file is not None and not file.exists():
        raise click.ClickException(
            f"PANEL_STATE_URL: {file.absolute()}: there is no such file. "
            "Run the command as the panel runs: in its folder, with its --env-file."
        )
    return settings
