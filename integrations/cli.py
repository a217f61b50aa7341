"""The command `integrations`. Each subcommand is imported when it is called: the start is to be quick."""

import importlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from integrations import startup

ROOT: Final = Path(__file__).resolve().parent.parent
_ELSEWHERE: Final = {
    "demo": "integrations.demo",
    "simulate": "integrations.cli_simulate",
    "tokens": "integrations.cli_tokens",
    "usage": "integrations.cli_usage",
    "users": "integrations.cli_users",
}
"""Subcommands in modules of their own, each under its own name there."""


class _LazyGroup(click.Group):
    """Imports what is called, and turns wrong settings into their lines and exit 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except startup.StartError as error:
            raise click.ClickException(str(error)) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(importlib.import_module(_ELSEWHERE[cmd_name]), cmd_name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="integrations")
def main() -> None:
    """Integrations Usage Panel: how much of each external API's quota is left."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="Port.")
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate, PEM.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
@click.option("--root-path", default="", help="The path under which a proxy shows the panel.")
def serve(host: str, port: int, ssl_certfile: str | None, ssl_keyfile: str | None, root_path: str) -> None:
    """Serve the panel."""
    import uvicorn  # noqa: PLC0415 - the other commands do without

    startup.set_up_log(startup.check_settings().log_level)
    sys.path.insert(0, str(ROOT))
    config = uvicorn.Config(
        "app:app",
        host=host,
        port=port,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        root_path=root_path,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_per_message_deflate=False,  # as Streamlit's own server: compression state is 45 KiB a viewer
        timeout_graceful_shutdown=5,
    )
    with suppress(KeyboardInterrupt):  # uvicorn has stopped gracefully by then
        uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
