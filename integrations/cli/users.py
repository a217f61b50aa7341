"""`integrations users …`: the people in the store."""

import sys
from typing import Final

import click

from integrations import command
from integrations.access import auth, store, store_edit
from integrations.access.passwords import MIN_CHARACTERS, hash_password
from integrations.access.store import StoreContent, User
from integrations.cli.sessions import require_panels_state
from integrations.settings import panel_settings

_ROLE_HELP: Final = "A role of the store; may be given several times."


@click.group()
def users() -> None:
    """The people who may sign in."""


def _normal(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    return store.normal_name(name)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(
        click.prompt(
            f"Password (at least {MIN_CHARACTERS} characters)", hide_input=True, confirmation_prompt=True
        )
    )


def _known(content: StoreContent, name: str) -> User:
    if name not in content.users:
        raise click.ClickException(f"There is no user {name!r}. See: {command.name()} users list")
    return content.users[name]


name_argument = click.argument("name", callback=_normal)
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
    """Add a user; makes the store where there is none yet."""
    hashed = hash_password(_password(from_stdin=password_stdin))
    user = User.model_construct(  # checked, with all the store, before it is written
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
    content = store.read(panel_settings().auth_file)
    width = max((len(name) for name in content.users), default=0)
    for name, user in sorted(content.users.items()):
        click.echo(f"{name:<{width}}  {', '.join(user.roles) or '(no role)'}  {user.email}".rstrip())


@users.command()
@name_argument
def remove(name: str) -> None:
    """Remove a user; an open sign-in of theirs ends at its next use."""

    def edit(content: StoreContent) -> StoreContent:
        _known(content, name)
        return store_edit.without_user(content, name)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"Removed {name}.")


@users.command("password")
@name_argument
@_password_stdin
def set_password(name: str, *, password_stdin: bool) -> None:
    """Set a new password; every open sign-in of the user ends."""
    hashed = hash_password(_password(from_stdin=password_stdin))

    def edit(content: StoreContent) -> StoreContent:
        changed = _known(content, name).model_copy(update={"password": hashed})
        return store_edit.with_user(content, name, changed)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"Changed the password of {name}.")


@users.command("role")
@name_argument
@click.argument("roles", nargs=-1, required=True)
def set_roles(name: str, roles: tuple[str, ...]) -> None:
    """Give a user these roles and no others; every open sign-in of the user ends."""

    def edit(content: StoreContent) -> StoreContent:
        changed = _known(content, name).model_copy(update={"roles": list(roles)})
        return store_edit.with_user(content, name, changed)

    store_edit.change(panel_settings().auth_file, edit)
    click.echo(f"{name} has now: {', '.join(roles)}.")


@users.command()
@name_argument
def unlock(name: str) -> None:
    """Let a user sign in who is locked after 5 wrong passwords; the limit of all users together stays."""
    settings = require_panels_state("who is locked; a restart unlocks all")
    _known(store.read(settings.auth_file), name)
    auth().unlock(name)
    click.echo(f"Unlocked {name}.")
