"""Requests to a simulator over a real socket."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from integrations.demo.account import KEY
from integrations.demo.server import ACCOUNT_PATH, Simulator


@dataclass(frozen=True)
class Reply:
    """A complete answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """Return the body as an object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=10)


def ask(
    connection: http.client.HTTPConnection,
    method: str = "GET",
    path: str = ACCOUNT_PATH,
    key: str | None = KEY,
    body: str | None = None,
) -> Reply:
    connection.request(method, path, body, {} if key is None else {"authkey": key})
    response = connection.getresponse()
    return Reply(response.status, response.headers, response.read())


def call(
    simulator: Simulator,
    method: str = "GET",
    path: str = ACCOUNT_PATH,
    key: str | None = KEY,
    body: str | None = None,
) -> Reply:
    with closing(connect(simulator.port)) as connection:
        return ask(connection, method, path, key, body)


def raw(
    simulator: Simulator, request: str = f"GET {ACCOUNT_PATH} HTTP/1.1\r\nauthkey: {KEY}\r\n\r\n"
) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", simulator.port), timeout=10)
    peer.sendall(request.encode())
    return peer


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def assert_failure(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.json["error"]) == (status, code)
    assert reply.json.keys() == {"success", "error", "error_message"}
    assert reply.json["success"] is False
    assert reply.json["error_message"]
    assert reply.headers["Content-Type"] == "application/json"
