"""`integrations serve`: the panel."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="Port.")
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate, PEM.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
@click.option("--root-path", default="", help="The path under which a proxy shows the panel.")
def serve(host: str, port: int, ssl_certfile: str | None, ssl_keyfile: str | None, root_path: str) -> None:
    """Serve the panel."""
    import uvicorn  # noqa: PLC0415 - heavy, and the other commands do without

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
