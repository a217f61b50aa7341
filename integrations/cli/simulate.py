"""`integrations simulate`: the stand-in IMAI server alone."""

import click

from integrations.demo.account import KEY, Mode
from integrations.demo.server import PORT, serve


@click.command()
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="Port.")
def simulate(port: int) -> None:
    """Run the stand-in IMAI server, on loopback."""
    try:
        serve(lambda peer: click.echo(_help(peer.url)), port=port)
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be used: {error.strerror}") from None


def _help(url: str) -> str:
    root = url.removesuffix("/api")
    return (
        f"A stand-in for IMAI answers at {url}\n"
        f"  IMAI_API_BASE_URL={url}\n"
        f"  IMAI_API_KEY={KEY}\n"
        "Spend credits, or make it fail:\n"
        f"  curl -X PUT {root}/control -d '{{\"spend\": 250}}'\n"
        f'  curl -X PUT {root}/control -d \'{{"mode": "http_503"}}\'\n'
        f"Modes: {', '.join(Mode)}"
    )
