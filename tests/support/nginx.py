"""The real nginx with deploy/nginx.conf, in front of panels that run on this machine."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.support.certificate import self_signed
from tests.support.processes import ROOT, accepts, clean_environment, free_port, process

CONFIGURATION: Final = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
_DOCUMENT: Final = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def for_two_processes(configuration: str = CONFIGURATION) -> str:
    """Change the configuration by the command of docs/deploy.md that adds a second process."""
    (edit,) = re.findall(r"sed -i '([^']+)' /etc/nginx/conf\.d/integrations\.conf", _DOCUMENT)
    done = subprocess.run(["/bin/sed", edit], input=configuration, capture_output=True, text=True, check=True)
    return done.stdout


@contextmanager
def nginx(folder: Path, panels: Sequence[str], configuration: str = CONFIGURATION) -> Iterator[str]:
    """Run nginx with a certificate of its own; yield its URL.

    Args:
        folder: for its files.
        panels: one or two URLs, in place of those in the configuration.
        configuration: deploy/nginx.conf, or a changed one.
    """
    port = free_port()
    pem = self_signed(folder)
    addresses = (urlsplit(url).netloc for url in panels)
    places = dict(zip(("127.0.0.1:8501", "127.0.0.1:8502"), addresses, strict=False))
    # In one pass, because a new port may equal an old one.
    own = re.sub(r"127\.0\.0\.1:\d+", lambda found: places.get(found[0], found[0]), configuration)
    own = own.replace("listen 443 ", f"listen {port} ").replace("panel.example.com;", "localhost;", 1)
    own = re.sub(r"/etc/ssl/\S+\.(pem|key)", str(pem), own)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events {}\nhttp {\n access_log off;\n"
        + "".join(f" {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        + own
        + "}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with process(command, folder / "nginx.log", clean_environment({})) as running:
        running.wait_for(lambda: accepts(port))
        yield f"https://localhost:{port}"
