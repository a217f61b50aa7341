"""The command `integrations`: its subcommands, and one form for the errors of all of them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from integrations.access.credentials import StoreError
from integrations.access.passwords import PasswordError
from integrations.checks import StartError
from integrations.cli import nagios
from integrations.cli.check import check
from integrations.cli.demo import demo
from integrations.cli.providers import providers
from integrations.cli.serve import serve
from integrations.cli.sessions import sessions
from integrations.cli.simulate import simulate
from integrations.cli.tokens import tokens
from integrations.cli.usage import usage
from integrations.cli.users import users
from integrations.files import env_file
from integrations.quota.errors import SettingsError
from integrations.state import StateError


class _Group(click.Group):
    """Shows an operator's errors as one line and exit 1; with --nagios, any failure as Nagios expects it."""

    @override
    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        arguments = sys.argv[1:] if args is None else list(args)
        if "--nagios" in arguments:
            extra["standalone_mode"] = False  # click then raises its errors instead of ending the process
            nagios.run(lambda: super(_Group, self).main(arguments, *more, **extra))
        return super().main(args, *more, **extra)

    @override
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (StartError, StoreError, PasswordError, SettingsError, StateError) as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="integrations")
@click.option(
    "--env-file",
    "named",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read settings from this file instead of .env.",
)
def main(named: Path | None) -> None:
    """Integrations Usage Panel: how much of each external API's quota is left."""
    if named is None:
        return
    if named.absolute().is_relative_to("/dev") or named.absolute().is_relative_to("/proc"):
        raise click.BadParameter(
            f"{named} can be read once, and the panel reads its settings several times. Give a file.",
            param_hint="--env-file",
        )
    env_file.use(named)


for command in (check, demo, providers, serve, sessions, simulate, tokens, usage, users):
    main.add_command(command)
