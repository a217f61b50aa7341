"""`integrations tokens …`: machines that read the endpoint."""

import secrets

import click

from integrations import command
from integrations.access import store, store_edit
from integrations.access.authenticator import token_digest
from integrations.access.store import StoreContent, Token
from integrations.cli.users import name_argument
from integrations.settings import panel_settings

_RANDOM_BYTES = 32


@click.group()
def tokens() -> None:
    """Tokens for scripts and monitors, good for GET /integrations/usage and GET /metrics alone."""


@tokens.command()
@name_argument
@click.option(
    "--role", "roles", multiple=True, required=True, help="A role of the store; may be given several times."
)
def add(name: str, roles: tuple[str, ...]) -> None:
    """Make a token and print it, once: the store keeps its hash."""
    token = secrets.token_urlsafe(_RANDOM_BYTES)
    kept = Token(sha256=token_digest(token), roles=list(roles))

    def edit(content: StoreContent) -> StoreContent:
        if name in content.tokens:
            raise click.ClickException(f"There is a token {name!r} already.")
        return content.model_copy(update={"tokens": {**content.tokens, name: kept}})

    store_edit.change(panel_settings().auth_file, edit)
    try:
        click.echo(token)
    except OSError:
        # Nobody has seen it.
        store_edit.change(panel_settings().auth_file, lambda content: store_edit.without_token(content, name))
        raise
    click.echo(f"This is the only time that the token of {name} is shown.", err=True)


@tokens.command("list")
def list_() -> None:
    """Show names and roles."""
    for name, token in sorted(store.read(panel_settings().auth_file).tokens.items()):
        click.echo(f"{name}  {', '.join(token.roles) or '(no role)'}")


@tokens.command()
@name_argument
def remove(name: str) -> None:
    """Remove a token; it is refused from the next call on."""

    def edit(content: StoreContent) -> StoreContent:
        if name not in content.tokens:
            raise click.ClickException(f"There is no token {name!r}. See: {command.name()} tokens list")
        return store_edit.without_token(content, name)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"Removed {name}.")
