"""A stand-in for a provider's API, in a process of its own: answers after a set delay and counts the calls.

    GET /<account>/api/account/info/     {"success": true, "credits": 7500}, as IMAI answers
    GET /calls/<account>                 how many of those there were
    PUT /delay/<account>                 the body is the delay of its answers from now on, in seconds

An account is any word: each candidate has its own. The one named `flaky` fails every third call. Unlike the panel's
simulator this one limits nobody, so that a page which asks too often is measured and not refused.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final

CREDITS: Final = 7500
FIGURE: Final = "7,500"
"""`CREDITS` as every candidate's page shows it."""
_MOST_SECONDS: Final = 30.0


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # hundreds of viewers may ask at once
    daemon_threads = True

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.delays: defaultdict[str, float] = defaultdict(float)
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own would ask the DNS for its name


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one segment

    def do_GET(self) -> None:
        """Answer as the provider does, or tell the count."""
        first, _, rest = self.path.strip("/").partition("/")
        if first == "calls":
            with self.server.lock:
                self._send(self.server.calls[rest])
            return
        with self.server.lock:
            self.server.calls[first] += 1
            count = self.server.calls[first]
            delay = self.server.delays[first]
        time.sleep(delay)
        if first == "flaky" and count % 3 == 0:
            self._send({"success": False, "error": "internal_server_error"}, status=500)
        else:
            self._send({"success": True, "credits": CREDITS})

    def do_PUT(self) -> None:
        """Set an account's delay."""
        account = self.path.strip("/").partition("/")[2]
        delay = float(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.delays[account] = min(max(delay, 0.0), _MOST_SECONDS)
        self._send(delay)

    def _send(self, answer: object, *, status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account at the running stand-in."""

    root: str
    name: str

    @property
    def base_url(self) -> str:
        """What a candidate is given as the API's base URL."""
        return f"{self.root}/{self.name}/api"

    def calls(self) -> int:
        """How often it has been asked so far."""
        with urllib.request.urlopen(f"{self.root}/calls/{self.name}", timeout=10) as answer:  # noqa: S310
            return int(answer.read())

    def delay(self, seconds: float) -> None:
        """Let every answer from now on take so long."""
        request = urllib.request.Request(  # noqa: S310 - our own, on loopback
            f"{self.root}/delay/{self.name}", data=str(seconds).encode(), method="PUT"
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


@dataclass(frozen=True, slots=True)
class Upstream:
    """The running stand-in."""

    root: str

    def account(self, name: str) -> Account:
        """An account; it exists as soon as it is named."""
        return Account(self.root, name)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run the stand-in in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        yield Upstream(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Serve until terminated; the first line of output is the port."""
    server = _Server()
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
