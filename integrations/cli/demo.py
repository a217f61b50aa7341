"""`integrations demo`: a panel to try out, with a throw-away store and, without an IMAI key, stand-ins."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from integrations import checks
from integrations.access import store_edit
from integrations.access.passwords import hash_password
from integrations.access.store import User
from integrations.demo import stand_ins
from integrations.demo.server import Simulator
from integrations.providers.imai import ImaiSettings

_USER: Final = "admin"
_HOST: Final = "127.0.0.1"
_DRAIN_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 10.0
"""A panel that has not ended so long after SIGTERM is killed."""
_LOOK_SECONDS: Final = 0.2
"""How often the demo looks whether its panel still runs."""


@click.command()
@click.option(
    "--port", default=None, type=click.IntRange(1, 65535), help="Default: PANEL_PORT, or a free one."
)
def demo(port: int | None) -> None:
    """Try the panel on loopback: nothing to configure, nothing kept."""
    settings = checks.check_settings()
    checks.check_env_file()
    for number in _ending_signals():  # they end the demo as Ctrl+C does
        signal.signal(number, signal.default_int_handler)
    port = port or _free_port(settings.port)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="integrations-demo-")))
        password = _make_store(folder / "auth.yaml")
        environment = {
            "PANEL_AUTH_FILE": str(folder / "auth.yaml"),
            "PANEL_STATE_URL": "memory://",
            "PANEL_COOKIE_SECURE": "false",  # loopback only, and Safari keeps no Secure cookie over plain HTTP
            "PANEL_ALLOWED_HOSTS": f"localhost,{_HOST}",
        }
        if ImaiSettings.load().api_key is None:
            environment |= _simulated(stack, folder / "providers.yaml")
        else:
            click.echo("IMAI_API_KEY is set: the demo reads your IMAI account, not the simulator.")
        click.echo(f"\n  URL       http://localhost:{port}\n  User      {_USER}\n  Password  {password}\n")
        click.echo("Ctrl+C ends the demo.")
        command = [sys.executable, "-m", "integrations.cli", "serve", "--host", _HOST, "--port", str(port)]
        exit_code = _run(command, {**os.environ, **environment})
    sys.exit(exit_code)


def _ending_signals() -> list[int]:
    """Those that end the demo: SIGHUP, as its terminal was closed, unless `nohup` has it live on."""
    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)  # not everywhere
    ignored = signal.getsignal(hangup) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignored else [hangup])]


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Until the panel ends, or Ctrl+C, SIGTERM or SIGHUP ends it: then 0, else its exit code."""
    ended = threading.Event()
    # Not by an exception: one that came while the process is made would leave it running alone.
    for number in _ending_signals():
        signal.signal(number, lambda *_: ended.set())
    panel = subprocess.Popen(command, env=environment)  # noqa: S603 - ourselves
    while panel.poll() is None and not ended.wait(_LOOK_SECONDS):
        pass
    if not ended.is_set():
        return panel.wait()
    panel.terminate()
    try:
        panel.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        panel.kill()
        panel.wait()
    return 0


def _make_store(path: Path) -> str:
    password = secrets.token_urlsafe(12)
    user = User(first_name="Demo", last_name="Admin", password=hash_password(password), roles=["admin"])
    store_edit.change(path, lambda content: store_edit.with_user(content, _USER, user))
    return password


def _simulated(stack: ExitStack, providers_file: Path) -> dict[str, str]:
    peer = stack.enter_context(Simulator(drain_seconds=_DRAIN_SECONDS, pages=stand_ins.pages()))
    stand_ins.write_file(providers_file, peer.origin)
    click.echo(f"No IMAI_API_KEY is set: a simulator stands in for IMAI at {peer.url},")
    click.echo(
        "and for four services of the catalogue, which show their sample answers; one of them is down."
    )
    settings = ImaiSettings.load()
    return {
        **stand_ins.keys(),
        "PANEL_PROVIDERS_FILE": str(providers_file),
        "IMAI_API_BASE_URL": peer.url,
        "IMAI_API_KEY": peer.key,
        "IMAI_TOTAL_CREDITS": str(settings.total_credits or 10_000),
        "IMAI_RENEWAL_DAY": str(settings.renewal_day or 27),
        "IMAI_RENEWAL_TIME": "03:00",
    }


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise click.ClickException(f"No port is free on {_HOST}.")
