"""`integrations serve`: the panel."""

import logging
import os
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from integrations import checks
from integrations.settings import LOOPBACK_HOSTS, PanelSettings
from integrations.state import state

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger("integrations")

_BACKLOG: Final = 2048
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_DRAIN_SECONDS: Final = 3
"""What is under way may end, so long after a SIGTERM; the rest of five seconds is for the server itself."""


@click.command()
@click.option("--host", default=None, help="Address to listen on.  [default: PANEL_HOST, 127.0.0.1]")
@click.option(
    "--port", default=None, type=click.IntRange(0, 65535), help="Port.  [default: PANEL_PORT, 8501]"
)
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
def serve(
    *,
    host: str | None,
    port: int | None,
    workers: int,
    ssl_certfile: str | None,
    ssl_keyfile: str | None,
    root_path: str,
) -> None:
    """Serve the panel.

    Exit 0 after SIGTERM or Ctrl+C, 1 if it cannot start. SIGHUP reads the providers' file anew. Several workers need a
    state that they share: one that dies is replaced, and SIGHUP replaces one after the other. At a terminal SIGHUP ends
    the panel, as the terminal was closed.
    """
    heard = _note_signals()
    settings = checks.check()
    if workers == 1:
        _reload_on_hangup()
    elif settings.state_url.get_secret_value() == "memory://":
        raise checks.StartError(
            f"PANEL_STATE_URL: {workers} workers share nothing in memory://. Use a file or Redis, or --workers 1"
        )
    _check_certificate(ssl_certfile, ssl_keyfile)
    _have_a_home()
    with _listen(host or settings.host, settings.port if port is None else port) as listener:
        _announce(listener, root_path, settings, encrypted=ssl_certfile is not None)
        config = _configuration(workers, ssl_certfile, ssl_keyfile, root_path)
        if workers == 1:
            _serve_alone(listener, config, heard)
        else:
            _serve_by_workers(listener, config, workers, heard)
    _leave()


def _note_signals() -> list[int]:
    """The signals to end that come from now on, until the server or the supervisor listens to them itself.

    They are no exceptions, as Ctrl+C would be: one that comes during an import may be lost there.
    """
    heard: list[int] = []
    for number in _ENDING:
        signal.signal(number, lambda number, _: heard.append(number))
    if hasattr(signal, "SIGHUP"):  # not everywhere
        # At a terminal it tells that this was closed. A service has none: what it is to read anew is yet to be read.
        signal.signal(signal.SIGHUP, _end if os.isatty(0) else signal.SIG_IGN)
    return heard


def _reload_on_hangup() -> None:
    if hasattr(signal, "SIGHUP") and not os.isatty(0):
        signal.signal(signal.SIGHUP, _reload)


def _have_a_home() -> None:
    """Streamlit reads options from the home directory, and fails for a user without one, such as a container's."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(Path.cwd())


def _check_certificate(certificate: str | None, key: str | None) -> None:
    if key is not None and certificate is None:
        raise click.ClickException("--ssl-keyfile needs --ssl-certfile beside it.")
    if certificate is None:
        return
    asked = False

    def password() -> str:
        """Asked for an encrypted key; without this OpenSSL would ask the terminal."""
        nonlocal asked
        asked = True
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password)
    except OSError as error:
        reason = "the key is encrypted" if asked else _reason(error)
        raise click.ClickException(
            f"--ssl-certfile {certificate}: certificate and key cannot be used ({reason})."
            f"{_hint(encrypted=asked, key=key)}"
        ) from None


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not a host's name"
    if isinstance(error, ssl.SSLError):
        return error.reason or "no PEM certificate and key in it"
    if isinstance(error, socket.gaierror):
        return str(error.strerror)  # the number is the resolver's
    return os.strerror(error.errno or 0)  # create_server adds the address to the text


def _hint(*, encrypted: bool, key: str | None) -> str:
    if encrypted:
        return " Take its password off: openssl pkey -in KEY -out PLAIN_KEY, then chmod 600 PLAIN_KEY."
    return "" if key else " Give its key with --ssl-keyfile."


def _listen(host: str, port: int) -> socket.socket:
    """The socket that browsers connect to; they wait in its queue while the page is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # create_server would look a name up, too, but does not tell why it finds none.
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listener = socket.create_server(found[0][4], family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(
            f"Cannot listen on {host}, port {port}: {_reason(error)}. Choose another with --port (or PANEL_PORT) and "
            "--host (or PANEL_HOST)."
        ) from None
    # asyncio sets TCP_NODELAY on connections whose socket names its protocol, and create_server names none. Without it
    # a small message waits up to 40 ms for the acknowledgement of the one before.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach())


def _announce(listener: socket.socket, root_path: str, settings: PanelSettings, *, encrypted: bool) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log.info("Serving on %s://%s:%s%s", "https" if encrypted else "http", shown, port, root_path)
    if host not in LOOPBACK_HOSTS and settings.cookie_secure and not encrypted:
        log.warning(
            "Without HTTPS, browsers of other machines keep no session cookie: put a proxy in front or give "
            "--ssl-certfile. On a trusted network alone, PANEL_COOKIE_SECURE=false does without."
        )


def _configuration(
    workers: int, certificate: str | None, key: str | None, root_path: str
) -> "uvicorn.Config":
    # Read when the library is imported: its 8 KiB are less than the cookies that a browser may bring.
    os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", "65536")

    import uvicorn  # noqa: PLC0415 - heavy, and the other commands do without

    from integrations.web.protocols import MAX_HEADER_BYTES, HttpProtocol, WebsocketProtocol  # noqa: PLC0415
    from integrations.web.websocket_guard import MAX_MESSAGE_BYTES  # noqa: PLC0415

    return uvicorn.Config(
        "integrations.app:app",
        workers=workers,
        ssl_certfile=certificate,
        ssl_keyfile=key,
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
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


def _serve_alone(listener: socket.socket, config: "uvicorn.Config", heard: list[int]) -> None:
    import uvicorn  # noqa: PLC0415 - heavy, as above

    server = uvicorn.Server(config)
    for number in _ENDING:  # it does so itself a little later
        signal.signal(number, server.handle_exit)
    if not heard:
        server.run([listener])


def _end(*_: object) -> None:
    signal.raise_signal(signal.SIGTERM)


def _reload(*_: object) -> None:
    threading.Thread(target=checks.reload_accounts).start()


def _leave() -> None:
    """End now, though a thread may still wait for a provider: Python itself would wait for that thread."""
    log.info("Stopped")
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        os._exit(0)


def _serve_by_workers(
    listener: socket.socket, config: "uvicorn.Config", count: int, heard: list[int]
) -> None:
    """Serve by processes of their own; the checks that would stop every one of them were made."""
    from integrations.cli.supervisor import Supervisor  # noqa: PLC0415 - heavy, as above

    state().close()
    supervisor = Supervisor(config, listener, count)
    supervisor.obey_signals()
    if not heard and not supervisor.run():
        sys.exit(1)
