"""`integrations demo`: the panel on loopback, with a temporary store and, without an IMAI key, stand-ins."""

import os
import secrets
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from integrations import checks
from integrations.access import store_edit
from integrations.access.credentials import User
from integrations.access.passwords import hash_password
from integrations.cli import serve
from integrations.demo import stand_ins
from integrations.demo.server import Simulator
from integrations.providers.imai import ImaiSettings

_USER: Final = "admin"
_HOST: Final = "127.0.0.1"
_DRAIN_SECONDS: Final = 2.0


@click.command()
@click.option(
    "--port", default=None, type=click.IntRange(1, 65535), help="Default: PANEL_PORT, or a free one."
)
def demo(port: int | None) -> None:
    """Try the panel on loopback: nothing to configure, nothing kept."""
    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)  # not on Windows
    with_nohup = signal.getsignal(hangup) is signal.SIG_IGN
    pending = serve.note_signals(signal.SIG_IGN if with_nohup else serve.end)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="integrations-demo-")))
        password = secrets.token_urlsafe(12)
        os.environ |= _panel(folder / "auth.yaml", password)
        source = "IMAI_API_KEY is set: the demo reads your IMAI account, not the simulator."
        imai = ImaiSettings.load()
        if imai.api_key is None:
            peer = stack.enter_context(Simulator(drain_seconds=_DRAIN_SECONDS, pages=stand_ins.pages()))
            os.environ |= _simulated(peer, imai, folder / "providers.yaml")
            source = (
                f"No IMAI_API_KEY is set: a simulator stands in for IMAI at {peer.url},\n"
                "and for four services of the catalogue, which show their sample answers; one of them is down."
            )
        settings = checks.check()
        listener = stack.enter_context(_listen(port, settings.port))
        url = f"http://localhost:{listener.getsockname()[1]}"
        click.echo(f"{source}\n\n  URL       {url}\n  User      {_USER}\n  Password  {password}\n")
        click.echo("Ctrl+C ends the demo.")
        serve.run(serve.load(listener), listener, pending)
    serve.leave()


def _panel(store: Path, password: str) -> dict[str, str]:
    """Make the store with its user; return the panel's own variables."""
    user = User(first_name="Demo", last_name="Admin", password=hash_password(password), roles=["admin"])
    store_edit.change(store, lambda content: store_edit.with_user(content, _USER, user))
    return {
        "PANEL_AUTH_FILE": str(store),
        "PANEL_STATE_URL": "memory://",
        "PANEL_COOKIE_SECURE": "false",  # loopback only, and Safari keeps no Secure cookie over plain HTTP
        "PANEL_ALLOWED_HOSTS": f"localhost,{_HOST}",
    }


def _simulated(peer: Simulator, imai: ImaiSettings, providers_file: Path) -> dict[str, str]:
    """Write a providers' file of the stand-ins; return the accounts' variables."""
    stand_ins.write_file(providers_file, peer.origin)
    return {
        **stand_ins.keys(),
        "PANEL_PROVIDERS_FILE": str(providers_file),
        "IMAI_API_BASE_URL": peer.url,
        "IMAI_API_KEY": peer.key,
        "IMAI_TOTAL_CREDITS": str(imai.total_credits or 10_000),
        "IMAI_RENEWAL_DAY": str(imai.renewal_day or 27),
        "IMAI_RENEWAL_TIME": "03:00",
    }


def _listen(port: int | None, usual_port: int) -> socket.socket:
    """Return a socket on this port or, if none is given, on the usual one or a free one."""
    try:
        return serve.listen(_HOST, port or usual_port)
    except click.ClickException:
        if port is not None:
            raise
        return serve.listen(_HOST, 0)
