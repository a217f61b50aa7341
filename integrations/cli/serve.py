"""`integrations serve`: the panel's server. The demo uses its parts."""

import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from integrations import checks
from integrations.settings import LOOPBACK_HOSTS, panel_settings

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger("integrations")

_BACKLOG: Final = 2048
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_DRAIN_SECONDS: Final = 3
"""Time for open requests after SIGTERM. The server itself needs the rest of five seconds."""


@click.command()
@click.option("--host", default=None, help="Address to listen on.  [default: PANEL_HOST, 127.0.0.1]")
@click.option(
    "--port", default=None, type=click.IntRange(0, 65535), help="Port.  [default: PANEL_PORT, 8501]"
)
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate, PEM.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
@click.option("--root-path", default="", help="The path under which a proxy shows the panel.")
def serve(
    *, host: str | None, port: int | None, ssl_certfile: str | None, ssl_keyfile: str | None, root_path: str
) -> None:
    """Serve the panel.

    Exit 0 after SIGTERM or Ctrl+C, 1 if it cannot start. SIGHUP reads the providers' file again. At a terminal SIGHUP
    ends the panel, because the terminal was closed.
    """
    at_terminal = os.isatty(0)
    pending = note_signals(end if at_terminal else signal.SIG_IGN)
    settings = checks.check()
    _check_certificate(ssl_certfile, ssl_keyfile)
    with listen(host or settings.host, settings.port if port is None else port) as listener:
        server = load(listener, certificate=ssl_certfile, key=ssl_keyfile, root_path=root_path)
        if hasattr(signal, "SIGHUP") and not at_terminal:
            signal.signal(signal.SIGHUP, _reload)
        run(server, listener, pending)
    leave()


def note_signals(on_hangup: Callable[[int, FrameType | None], object] | signal.Handlers) -> list[int]:
    """Return a list that collects SIGINT and SIGTERM from now on, until `run` handles them.

    They raise nothing, because Python may swallow the KeyboardInterrupt of a Ctrl+C during an import.

    Args:
        on_hangup: the handler of SIGHUP.
    """
    pending: list[int] = []
    for number in _ENDING:
        signal.signal(number, lambda number, _: pending.append(number))
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, on_hangup)
    return pending


def end(*_: object) -> None:
    """Handle a signal as SIGTERM is handled."""
    signal.raise_signal(signal.SIGTERM)


def _reload(*_: object) -> None:
    threading.Thread(target=checks.reload_accounts).start()


def _check_certificate(certificate: str | None, key: str | None) -> None:
    if key is not None and certificate is None:
        raise click.ClickException("--ssl-keyfile needs --ssl-certfile.")
    if certificate is None:
        return
    asked = False

    def password() -> str:
        """Note that the key is encrypted; without this function OpenSSL would ask at the terminal."""
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


def listen(host: str, port: int) -> socket.socket:
    """Return the socket for browsers; they wait in its queue while the page is loaded.

    Raises:
        ClickException: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # create_server would resolve the name too, but its error does not say why there is no address.
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listener = socket.create_server(found[0][4], family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(
            f"Cannot listen on {host}, port {port}: {_reason(error)}. Choose another with --port (or PANEL_PORT) and "
            "--host (or PANEL_HOST)."
        ) from None
    # asyncio sets TCP_NODELAY only if the socket names its protocol, and create_server's does not. Without it a small
    # message waits up to 40 ms for the acknowledgement of the one before.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach())


def load(
    listener: socket.socket, *, certificate: str | None = None, key: str | None = None, root_path: str = ""
) -> "uvicorn.Server":
    """Log the address, import the panel, and return its server.

    Args:
        listener: from `listen`.
        certificate: path of a PEM file; with one the panel speaks HTTPS.
        key: path of the certificate's key, if it is in another file.
        root_path: the path under which a proxy shows the panel.
    """
    _announce(listener, root_path, encrypted=certificate is not None)
    _set_home()
    # The websockets library reads this at its import. Its default of 8 KiB is too small for a browser's cookies.
    os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", "65536")

    import uvicorn

    from integrations.app import app
    from integrations.web.protocols import MAX_HEADER_BYTES, HttpProtocol, WebsocketProtocol
    from integrations.web.websocket_guard import MAX_MESSAGE_BYTES

    config = uvicorn.Config(
        app,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        root_path=root_path,
        lifespan="on",
        http=HttpProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws=WebsocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # as Streamlit's own server: compression state is 45 KiB a viewer
        proxy_headers=False,  # the app reads them itself, from the proxies that the settings name
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        callback_notify=_notify_systemd,
    )
    return uvicorn.Server(config)


def run(server: "uvicorn.Server", listener: socket.socket, pending: list[int]) -> None:
    """Serve on this socket until SIGINT or SIGTERM; not at all if one is pending (`note_signals`)."""
    for number in _ENDING:  # uvicorn does so only a little later
        signal.signal(number, server.handle_exit)
    if not pending:
        server.run([listener])


def _announce(listener: socket.socket, root_path: str, *, encrypted: bool) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log.info("Serving on %s://%s:%s%s", "https" if encrypted else "http", shown, port, root_path)
    if host not in LOOPBACK_HOSTS and panel_settings().cookie_secure and not encrypted:
        log.warning(
            "Without HTTPS, browsers of other machines keep no session cookie: put a proxy in front or give "
            "--ssl-certfile. On a trusted network alone, PANEL_COOKIE_SECURE=false does without."
        )


def _set_home() -> None:
    """Set HOME for a user without one, such as a container's: Streamlit reads options from there, or fails."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(Path.cwd())


async def _notify_systemd() -> None:
    """Tell systemd that the panel serves (sd_notify(3)). uvicorn repeats the call, and systemd ignores that."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address is not None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(b"READY=1", address)


def leave() -> None:
    """End the process now. Python itself would wait for a thread that still waits for a provider."""
    log.info("Stopped")
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        os._exit(0)
