"""`integrations sessions …`: the sign-ins."""

from datetime import UTC, datetime
from typing import Final

import click

from integrations.access import auth
from integrations.access.credentials import normal_name
from integrations.cli._shared import columns, require_panels_state

_KNOWN: Final = "who is signed in; a restart ends all sign-ins"


@click.group()
def sessions() -> None:
    """The sign-ins of all processes of the panel."""


@sessions.command("list")
def list_() -> None:
    """Show who is signed in, since when, and when the sign-in was last used."""
    require_panels_state(_KNOWN)
    rows = [
        (session.user, f"since {_time(session.started)}", f"last used {_time(session.used)}")
        for session in auth().sessions.all()
    ]
    for line in columns(rows):
        click.echo(line)


@sessions.command()
@click.option("--user", help="The sign-ins of this user.")
@click.option("--all", "everybody", is_flag=True, help="All sign-ins.")
def end(user: str | None, *, everybody: bool) -> None:
    """End sign-ins; open pages notice within a minute."""
    if everybody == (user is not None):
        raise click.UsageError("Say --user NAME or --all.")
    name = None if user is None else normal_name(user)
    require_panels_state(_KNOWN)
    ended = auth().end_sessions(name)
    click.echo(f"Ended {ended} sign-in{'' if ended == 1 else 's'}.")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
