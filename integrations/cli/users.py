"""`integrations users …`: the users in the store."""

import sys
from typing import Final

import click

from integrations import command
from integrations.access import auth, credentials, store_edit
from integrations.access.credentials import StoreContent, User
from integrations.access.passwords import MIN_CHARACTERS, hash_password
from integrations.cli._shared import columns, name_argument, require_panels_state
from integrations.settings import panel_settings

_ROLE_HELP: Final = "A role of the store; may be given several times."


@click.group()
def users() -> None:
    """The users who may sign in."""


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(
        click.prompt(
            f"Password (at least {MIN_CHARACTERS} characters)", hide_input=True, confirmation_prompt=True
        )
    )


def _require_user(content: StoreContent, name: str) -> User:
    if name not in content.users:
        raise click.ClickException(f"There is no user {name!r}. See: {command.name()} users list")
    return content.users[name]


_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input's first line."
)


@users.command()
@name_argument
@click.option("--role", "roles", multiple=True, required=True, help=_ROLE_HELP)
@click.option("--email", default="", help="For the record; nothing is sent.")
@click.option("--first-name", default="", help="Shown in the sidebar.")
@click.option("--last-name", default="", help="Shown in the sidebar.")
@_password_stdin
def add(
    name: str, roles: tuple[str, ...], email: str, first_name: str, last_name: str, *, password_stdin: bool
) -> None:
    """Add a user; makes the store if there is none yet."""
    hashed = hash_password(_password(from_stdin=password_stdin))
    user = User.model_construct(  # the whole store is checked before it is written
        email=email, first_name=first_name, last_name=last_name, password=hashed, roles=list(roles)
    )

    def edit(content: StoreContent) -> StoreContent:
        if name in content.users:
            raise click.ClickException(f"There is a user {name!r} already.")
        return store_edit.with_user(content, name, user)

    path = panel_settings().auth_file
    store_edit.change(path, edit)
    click.echo(f"Added {name} to {path.absolute()}.")


@users.command("list")
def list_() -> None:
    """Show names, roles and e-mail addresses."""
    found = sorted(credentials.read(panel_settings().auth_file).users.items())
    for line in columns([(name, ", ".join(user.roles) or "(no role)", user.email) for name, user in found]):
        click.echo(line)


@users.command()
@name_argument
def remove(name: str) -> None:
    """Remove a user; their open sign-ins end at the next use."""

    def edit(content: StoreContent) -> StoreContent:
        _require_user(content, name)
        return store_edit.without_user(content, name)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"Removed {name}.")


@users.command("password")
@name_argument
@_password_stdin
def set_password(name: str, *, password_stdin: bool) -> None:
    """Set a new password; the user's open sign-ins end."""
    hashed = hash_password(_password(from_stdin=password_stdin))

    def edit(content: StoreContent) -> StoreContent:
        changed = _require_user(content, name).model_copy(update={"password": hashed})
        return store_edit.with_user(content, name, changed)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"Changed the password of {name}.")


@users.command("role")
@name_argument
@click.argument("roles", nargs=-1, required=True)
def set_roles(name: str, roles: tuple[str, ...]) -> None:
    """Replace a user's roles; the user's open sign-ins end."""

    def edit(content: StoreContent) -> StoreContent:
        changed = _require_user(content, name).model_copy(update={"roles": list(roles)})
        return store_edit.with_user(content, name, changed)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"{name} has now: {', '.join(roles)}.")


@users.command()
@name_argument
def unlock(name: str) -> None:
    """Unlock a user after 5 wrong passwords; the limit for all users together stays."""
    settings = require_panels_state("who is locked; a restart unlocks all")
    _require_user(credentials.read(settings.auth_file), name)
    auth().unlock(name)
    click.echo(f"Unlocked {name}.")
