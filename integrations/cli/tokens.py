"""`integrations tokens …`: access for scripts and monitors."""

import secrets
from typing import Final

import click

from integrations import command
from integrations.access import credentials, store_edit
from integrations.access.authenticator import token_digest
from integrations.access.credentials import StoreContent, Token
from integrations.cli._shared import columns, name_argument
from integrations.settings import panel_settings

_RANDOM_BYTES: Final = 32


@click.group()
def tokens() -> None:
    """Tokens for scripts and monitors; they open only GET /integrations/usage and GET /metrics."""


@tokens.command()
@name_argument
@click.option(
    "--role", "roles", multiple=True, required=True, help="A role of the store; may be given several times."
)
def add(name: str, roles: tuple[str, ...]) -> None:
    """Make a token and print it once; the store keeps only its hash."""
    token = secrets.token_urlsafe(_RANDOM_BYTES)
    kept = Token(sha256=token_digest(token), roles=list(roles))

    def edit(content: StoreContent) -> StoreContent:
        if name in content.tokens:
            raise click.ClickException(f"There is a token {name!r} already.")
        return content.model_copy(update={"tokens": {**content.tokens, name: kept}})

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(token)
    click.echo(f"This is the only time that the token of {name} is shown.", err=True)


@tokens.command("list")
def list_() -> None:
    """Show names and roles."""
    found = sorted(credentials.read(panel_settings().auth_file).tokens.items())
    for line in columns([(name, ", ".join(token.roles) or "(no role)") for name, token in found]):
        click.echo(line)


@tokens.command()
@name_argument
def remove(name: str) -> None:
    """Remove a token; the next call with it is refused."""

    def edit(content: StoreContent) -> StoreContent:
        if name not in content.tokens:
            raise click.ClickException(f"There is no token {name!r}. See: {command.name()} tokens list")
        return store_edit.without_token(content, name)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"Removed {name}.")
