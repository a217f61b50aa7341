"""`integrations sessions …`: who is signed in."""

from datetime import UTC, datetime

import click

from integrations import startup
from integrations.access import auth
from integrations.access.store import normal_name
from integrations.settings import panel_settings


@click.group()
def sessions() -> None:
    """The sign-ins of all processes of the panel."""
    if panel_settings().state_url.get_secret_value() == "memory://":
        raise click.ClickException(
            "PANEL_STATE_URL: with memory:// only the panel itself knows who is signed in; a restart ends all sign-ins."
        )


@sessions.command("list")
def list_() -> None:
    """Show who is signed in, since when, and when the sign-in was last used."""
    found = auth().sessions.all()
    width = max((len(session.user) for session in found), default=0)
    for session in found:
        click.echo(
            f"{session.user:<{width}}  since {_time(session.started)}  last used {_time(session.used)}"
        )


@sessions.command()
@click.option("--user", help="The sign-ins of this user.")
@click.option("--all", "everybody", is_flag=True, help="All sign-ins.")
def end(user: str | None, *, everybody: bool) -> None:
    """End sign-ins; open pages notice within a minute."""
    if everybody == (user is not None):
        raise click.UsageError("Say --user NAME or --all.")
    name = None if user is None else normal_name(user)
    startup.prepare_log(panel_settings())
    ended = auth().end_sessions(name)
    click.echo(f"Ended {ended} sign-in{'' if ended == 1 else 's'}.")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
