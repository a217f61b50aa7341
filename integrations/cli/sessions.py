"""`integrations sessions …`: who is signed in."""

from datetime import UTC, datetime

import click

from integrations import checks
from integrations.access import auth
from integrations.access.store import normal_name
from integrations.settings import PanelSettings
from integrations.state import file_of


@click.group()
def sessions() -> None:
    """The sign-ins of all processes of the panel."""


@sessions.command("list")
def list_() -> None:
    """Show who is signed in, since when, and when the sign-in was last used."""
    require_panels_state("who is signed in; a restart ends all sign-ins")
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
    require_panels_state("who is signed in; a restart ends all sign-ins")
    ended = auth().end_sessions(name)
    click.echo(f"Ended {ended} sign-in{'' if ended == 1 else 's'}.")


def require_panels_state(known: str) -> PanelSettings:
    """Look for the state that the panel uses, for a command that is about what is kept in it; gives the settings.

    Args:
        known: what with memory:// the panel alone knows, and what helps then.

    Raises:
        ClickException: it is the memory of the panel, or a file that is not there: nothing would be done.
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


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
