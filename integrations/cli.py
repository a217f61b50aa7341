"""The command `integrations`."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from integrations import cli_users, demo, simulator, startup
from integrations.models import IntegrationsUsage

ROOT: Final = Path(__file__).resolve().parent.parent
_NOT_ALL_ACTIVE: Final = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="integrations")
def main() -> None:
    """Integrations Usage Panel: how much of each external API's quota is left."""


main.add_command(cli_users.users)


def _checked_settings() -> None:
    try:
        startup.set_up_log(startup.check_settings().log_level)
    except startup.StartError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="Port.")
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate, PEM.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
@click.option("--root-path", default="", help="The path under which a proxy shows the panel.")
def serve(host: str, port: int, ssl_certfile: str | None, ssl_keyfile: str | None, root_path: str) -> None:
    """Serve the panel."""
    import uvicorn  # noqa: PLC0415 - the other commands do without

    _checked_settings()
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
        timeout_graceful_shutdown=5,
    )
    with suppress(KeyboardInterrupt):  # uvicorn has stopped gracefully by then
        uvicorn.Server(config).run()


@main.command()
@click.option("--table", "as_table", is_flag=True, help="A table for people, instead of JSON.")
def usage(*, as_table: bool) -> None:
    """Print the usage; exit 0 if every provider is active, 2 if one is not, 1 if settings are wrong."""
    from integrations import service  # noqa: PLC0415 - requests is loaded where it is needed

    _checked_settings()
    found = service.get_all_integrations_usage()
    click.echo(_table(found) if as_table else found.model_dump_json(indent=2))
    if not found.all_active:
        sys.exit(_NOT_ALL_ACTIVE)


def _table(found: IntegrationsUsage) -> str:
    from integrations.ui import texts  # noqa: PLC0415 - likewise

    rows: list[tuple[str, ...]] = [("Provider", "State", "Remaining", "Total", "Used", "%", "Unit")]
    for reading in found.integrations:
        figures = (
            reading.remaining_quota,
            reading.total_quota,
            reading.used_quota,
            reading.usage_percentage,
        )
        cells = ("-" if figure is None else texts.amount(figure) for figure in figures)
        rows.append((reading.provider, texts.badge(reading).word, *cells, reading.unit))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += [
        f"{reading.provider}: {reading.error.message}" for reading in found.integrations if reading.error
    ]
    return "\n".join(lines)


@main.command()
@click.option(
    "--port", default=simulator.PORT, show_default=True, type=click.IntRange(0, 65535), help="Port."
)
def simulate(port: int) -> None:
    """Run the stand-in IMAI server alone, on loopback."""
    simulator.serve(lambda peer: click.echo(_simulator_help(peer.url)), port=port)


def _simulator_help(url: str) -> str:
    root = url.removesuffix("/api")
    return (
        f"A stand-in for IMAI answers at {url}\n"
        f"  IMAI_API_BASE_URL={url}\n"
        f"  IMAI_API_KEY={simulator.KEY}\n"
        "Spend credits, or make it fail:\n"
        f"  curl -X PUT {root}/control -d '{{\"spend\": 250}}'\n"
        f'  curl -X PUT {root}/control -d \'{{"mode": "http_503"}}\''
    )


main.command()(demo.demo)


if __name__ == "__main__":
    main()
