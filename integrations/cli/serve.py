"""`integrations serve`: the panel."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from integrations import startup
from integrations.state import state

if TYPE_CHECKING:
    import uvicorn

ROOT: Final = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="Port.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that share the port.",
)
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate, PEM.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
@click.option("--root-path", default="", help="The path under which a proxy shows the panel.")
def serve(  # noqa: PLR0913 - the options of the command
    *, host: str, port: int, workers: int, ssl_certfile: str | None, ssl_keyfile: str | None, root_path: str
) -> None:
    """Serve the panel.

    Several workers need a state that they share. One that dies is replaced; SIGHUP replaces one after the other.
    """
    startup.prepare_log(startup.check_settings())
    # Read when the library is imported: its 8 KiB are less than the cookies that a browser may bring.
    os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", "65536")

    import uvicorn  # noqa: PLC0415 - heavy, and the other commands do without

    from integrations.web.protocols import MAX_HEADER_BYTES, HttpProtocol, WebsocketProtocol  # noqa: PLC0415
    from integrations.web.websocket_guard import MAX_MESSAGE_BYTES  # noqa: PLC0415

    sys.path.insert(0, str(ROOT))
    config = uvicorn.Config(
        "app:app",
        host=host,
        port=port,
        workers=workers,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        root_path=root_path,
        lifespan="on",
        http=HttpProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws=WebsocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # as Streamlit's own server: compression state is 45 KiB a viewer
        proxy_headers=False,  # the app does it itself, for the proxies that the settings name
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_worker_healthcheck=30,  # a worker is busy for seconds at its start, and must not be taken for hung
    )
    with suppress(KeyboardInterrupt):  # uvicorn has stopped gracefully by then
        if workers == 1:
            uvicorn.Server(config).run()
        else:
            _serve_by(workers, config)


def _serve_by(workers: int, config: "uvicorn.Config") -> None:
    """Run uvicorn's supervisor, after the checks that would stop every worker."""
    from uvicorn.config import STARTUP_FAILURE  # noqa: PLC0415 - heavy, as above
    from uvicorn.supervisors import Multiprocess  # noqa: PLC0415

    settings = startup.check_settings()
    if settings.state_url.get_secret_value() == "memory://":
        raise startup.StartError(
            f"PANEL_STATE_URL: {workers} workers share nothing in memory://. Use a file or Redis, or --workers 1"
        )
    startup.prepare()
    state().close()
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)  # that a worker died is information to uvicorn
    supervisor = Multiprocess(config, sockets=[config.bind_socket()])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(STARTUP_FAILURE)
