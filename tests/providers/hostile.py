"""A server that fails in any way: raw sockets, so that HTTP itself can be broken."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

Behavior = Callable[["Hostile", socket.socket], None]
TLS_RECORD = b"\x16\x03"
"""The first bytes of a TLS client, which then waits for an answer."""


@dataclass
class Hostile:
    """The server's address, and the requests that reached it."""

    url: str
    requests: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    """Set once a client disconnects before the server has finished."""

    def trickle(self, peer: socket.socket, part: bytes) -> None:
        """Send this part every 50 ms, until the client disconnects or the test is over."""
        try:
            while not self.over.wait(0.05):
                peer.sendall(part)
        except OSError:
            self.left.set()

    def linger(self, peer: socket.socket) -> None:
        """Send nothing, until the client disconnects or the test is over."""
        peer.settimeout(0.05)
        while not self.over.is_set():
            try:
                if not peer.recv(1):
                    self.left.set()
                    return
            except TimeoutError:
                continue
            except OSError:
                self.left.set()
                return


def answer(status: int, body: bytes = b"{}", **headers: str) -> Behavior:
    """Return a behavior that sends a whole answer."""

    def behave(_: Hostile, peer: socket.socket) -> None:
        named = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        named |= {name.replace("_", "-"): text for name, text in headers.items()}
        head = "".join(f"{name}: {text}\r\n" for name, text in named.items())
        peer.sendall(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)

    return behave


def raw(text: bytes) -> Behavior:
    """Return a behavior that sends these bytes and closes."""
    return lambda _, peer: peer.sendall(text)


def dripping_body(server: Hostile, peer: socket.socket) -> None:
    """Send headers at once, then a byte at a time without end."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n")
    server.trickle(peer, b" ")


def dripping_chunks(server: Hostile, peer: socket.socket) -> None:
    """Send headers at once, then a chunk of one byte at a time without end."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.trickle(peer, b"1\r\n \r\n")


def dripping_headers(server: Hostile, peer: socket.socket) -> None:
    """Send a header that never ends."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    server.trickle(peer, b"x")


def stalled(server: Hostile, peer: socket.socket) -> None:
    """Send headers, then nothing."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    server.linger(peer)


def silent(server: Hostile, peer: socket.socket) -> None:
    """Send nothing."""
    server.linger(peer)


def flooding(head: bytes, part: bytes) -> Behavior:
    """Return a behavior that sends the head, then the same part without a pause and without end."""

    def behave(server: Hostile, peer: socket.socket) -> None:
        peer.sendall(head)
        while not server.over.is_set():
            peer.sendall(part)

    return behave


def dripping_handshake(server: Hostile, peer: socket.socket) -> None:
    """Announce a long TLS record, then send a byte of it at a time."""
    peer.sendall(b"\x16\x03\x03\x40\x00")
    server.trickle(peer, b"\x02")


BOMB = gzip.compress(b" " * 20_000_000)
CHUNKED_BOMB = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BOMB), BOMB)


@contextmanager
def never_accepting() -> Iterator[str]:
    """Yield the URL of a server with a full queue, which accepts no connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as waiting:
        address = listener.getsockname()
        with suppress(TimeoutError):
            while True:
                waiting.enter_context(socket.create_connection(address, timeout=0.05))
        yield f"http://127.0.0.1:{address[1]}"


@contextmanager
def hostile(*behaviors: Behavior) -> Iterator[Hostile]:
    """Serve the first connection by the first behavior, and so on; the last one serves all that follow."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Hostile(f"http://127.0.0.1:{listener.getsockname()[1]}")
    threads: list[tuple[threading.Thread, socket.socket]] = []

    def serve(peer: socket.socket, behave: Behavior) -> None:
        with peer, suppress(OSError):
            peer.settimeout(5)
            request = b""
            while b"\r\n\r\n" not in request and not request.startswith(TLS_RECORD):
                if not (part := peer.recv(65536)):
                    return
                request += part
            server.requests.append(request)
            behave(server, peer)

    def accept() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                behave = behaviors[min(len(threads), len(behaviors) - 1)]
                thread = threading.Thread(target=serve, args=(peer, behave), daemon=True)
                thread.start()
                threads.append((thread, peer))

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread, peer in threads:
            with suppress(OSError):  # most have ended by themselves
                peer.shutdown(socket.SHUT_RDWR)
            thread.join(5)
