"""The panel's ASGI app under uvicorn in this process."""

import http.client
import json
import socket
import threading
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Self

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.runtime import Runtime

from integrations.access import auth
from integrations.web.route_guard import RouteGuardMiddleware
from integrations.web.server import MIDDLEWARE, ROUTES

APP = Path(__file__).parents[2] / "app.py"


@dataclass
class Answer:
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def cookie(self) -> Morsel[str]:
        """Return the session's cookie that it sets."""
        return SimpleCookie(self.headers["set-cookie"])[auth().cookie_name]


class Server:
    """Streamlit's app with our routes and middleware, as `app.py` makes it, under uvicorn in a thread."""

    def __init__(self, *extra: Route) -> None:
        routes = [*ROUTES, *extra]
        guard = Middleware(RouteGuardMiddleware, own={route.path for route in routes})
        middleware = [guard if str(entry.cls) == str(RouteGuardMiddleware) else entry for entry in MIDDLEWARE]
        self.app = st.App(APP, routes=routes, middleware=middleware)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, server_header=False, lifespan="on"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        Runtime._instance = None  # Streamlit allows one a process, and another test may start its own

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send a request; `sec_fetch_site="none"` is the header Sec-Fetch-Site."""
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(
                method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            answer = connection.getresponse()
            named = {name.lower(): text for name, text in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def exchange(self, ticket: object, **headers: str) -> Answer:
        """Exchange a ticket as our page does, except for these headers."""
        own = {
            "Origin": f"http://{self.host}",
            "Sec_Fetch_Site": "same-origin",
            "Content_Type": "application/json",
        }
        body = json.dumps({"ticket": ticket}).encode()
        return self.ask("/integrations/session", "POST", body, **{**own, **headers})
