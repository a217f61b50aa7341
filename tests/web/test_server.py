"""The server's routes, headers and sign-in exchange, over a real socket."""

import gc
import logging
import socket
import threading
import tomllib
from collections.abc import Callable, Iterator
from typing import NoReturn
from urllib.parse import urljoin

import pytest
import time_machine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from integrations.access import Principal, SignInRefused, auth
from integrations.state import StateError, state
from integrations.web.headers import SecurityHeadersMiddleware
from integrations.web.route_guard import OPEN_FOLDERS, OPEN_PATHS
from integrations.web.server import ROUTES, lifespan
from tests.conftest import PASSWORD, AddUser
from tests.support.processes import run_async
from tests.web.asgi_server import APP, Server

COOKIE = "__Host-integrations-session"
FORGED = f"{COOKIE}={'x' * 43}"


async def _fails(_request: Request) -> Response:
    raise RuntimeError("an internal secret")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all tests of this module, with a route that fails."""
    with Server(Route("/fails", _fails)) as running:
        yield running


@pytest.fixture(autouse=True)
def _alice(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])


def ticket() -> str:
    """Return the ticket of a sign-in with the right password."""
    outcome = auth().sign_in("alice", PASSWORD)
    assert not isinstance(outcome, SignInRefused)
    return outcome


@pytest.mark.parametrize("is_https", [True, False])
def test_a_ticket_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, is_https: bool
) -> None:
    """With PANEL_COOKIE_SECURE=false only Secure and the prefix are missing; nothing else holds the session id."""
    monkeypatch.setenv("PANEL_COOKIE_SECURE", str(is_https).lower())
    answer = server.exchange(ticket())
    assert (answer.status, answer.body) == (204, b"")
    cookie = answer.cookie
    assert cookie.key == (COOKIE if is_https else "integrations-session")
    assert bool(cookie["secure"]) is is_https
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"]) == ("strict", "/")
    assert not any(cookie[name] for name in ("domain", "max-age", "expires"))
    assert len(cookie.value) == 43
    assert isinstance(auth().authenticate(cookie.value), Principal)
    assert [name for name, text in answer.headers.items() if cookie.value in text] == ["set-cookie"]


def test_a_ticket_is_valid_once_and_for_30_seconds(server: Server) -> None:
    """A later exchange is a 401 and sets no cookie."""
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        secret = ticket()
        clock.shift(29)
        assert server.exchange(secret).status == 204
        again = server.exchange(secret)
        assert (again.status, "set-cookie" in again.headers) == (401, False)
        secret = ticket()
        clock.shift(30)
        assert server.exchange(secret).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[::1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": ""},
    ],
)
def test_a_post_of_another_site_is_refused_and_costs_no_ticket(
    server: Server, headers: dict[str, str]
) -> None:
    """Another site's page can neither sign anybody in nor use up a ticket."""
    secret = ticket()
    refused = server.exchange(secret, **headers)
    assert refused.status == 403
    assert "set-cookie" not in refused.headers
    assert server.exchange(secret).status == 204


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"{"),
        (400, b"[]"),
        (400, b'{"ticket": 1}'),
        (400, b'{"ticket": "x", "user": "alice"}'),
        (400, b"\xff\xfe"),
        (401, b'{"ticket": "x"}'),
        (401, b'{"ticket": ""}'),
        (413, b'{"ticket": "' + b"x" * 2000 + b'"}'),
    ],
)
def test_a_malformed_exchange_is_refused(
    server: Server, caplog: pytest.LogCaptureFixture, status: int, body: bytes
) -> None:
    """The answer is empty, and the log has no traceback."""
    answer = server.ask(
        "/integrations/session", "POST", body,
        Origin=f"http://{server.host}", Content_Type="application/json",
    )  # fmt: skip
    assert answer.status == status
    assert answer.body == b""
    assert all(record.exc_info is None for record in caplog.records)


def test_an_exchange_that_is_broken_off_leaves_no_traceback(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A client announces a body and disconnects; the server continues."""
    with socket.create_connection(("127.0.0.1", int(server.host.rpartition(":")[2]))) as client:
        head = (
            f"POST /integrations/session HTTP/1.1\r\nHost: {server.host}\r\nOrigin: http://{server.host}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        client.sendall(head.encode())
    assert server.ask("/integrations/session").status == 401
    assert all(record.exc_info is None for record in caplog.records)


def test_the_page_can_ask_whether_the_browser_kept_the_cookie(server: Server) -> None:
    """204 with the session's cookie; 401 without one, with a forged one, and after its end."""
    secret = server.exchange(ticket()).cookie.value
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={secret}").status == 204
    assert server.ask("/integrations/session").status == 401
    for forged in (secret[:-1], secret + "x", "", "x" * 5000, '"', "\xe9"):
        assert server.ask("/integrations/session", Cookie=f"{COOKIE}={forged}").status == 401
    assert server.ask("/integrations/session", Cookie=f"integrations-session={secret}").status == 401
    auth().sign_out(secret)
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={secret}").status == 401


def test_without_the_state_an_exchange_and_a_check_are_503(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page must not claim that the browser kept no cookie, or that the ticket was too old."""
    kept, good = server.exchange(ticket()).cookie.value, ticket()

    def gone(_key: str) -> NoReturn:
        raise StateError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(state(), "get", gone)
        patch.setattr(state(), "take", gone)
        exchanged = server.exchange(good)
        assert (exchanged.status, "set-cookie" in exchanged.headers) == (503, False)
        assert server.ask("/integrations/session", Cookie=f"{COOKIE}={kept}").status == 503
        assert server.ask("/integrations/usage", Cookie=f"{COOKIE}={kept}").status == 503
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={kept}").status == 204
    assert server.exchange(good).status == 204


@pytest.mark.parametrize(
    "request_",
    [
        lambda server: server.exchange("x" * 43),
        lambda server: server.ask("/integrations/session", Cookie=FORGED),
        lambda server: server.ask("/integrations/usage", Cookie=FORGED),
    ],
    ids=["exchange", "session", "usage"],
)
def test_a_slow_state_delays_no_other_request(
    server: Server, monkeypatch: pytest.MonkeyPatch, request_: Callable[[Server], object]
) -> None:
    """Calls of the state run in threads, so the server answers other requests meanwhile."""
    reached, go_on = threading.Event(), threading.Event()

    def slow(_key: str) -> None:
        reached.set()
        go_on.wait(timeout=10)

    monkeypatch.setattr(state(), "get", slow)
    monkeypatch.setattr(state(), "take", slow)
    waiting = threading.Thread(target=request_, args=[server])
    waiting.start()
    assert reached.wait(timeout=10)
    assert server.ask("/_stcore/health").status == 200
    assert waiting.is_alive()
    go_on.set()
    waiting.join()


def test_a_new_sign_in_ends_the_session_that_it_replaces(server: Server) -> None:
    """The session whose cookie comes with the exchange ends."""
    old = server.exchange(ticket()).cookie.value
    server.exchange(ticket(), Cookie=f"{COOKIE}={old}")
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={old}").status == 401


REQUESTS = [
    (200, "GET", "/"),
    (200, "HEAD", "/"),
    (404, "GET", "/any/page"),
    (405, "POST", "/"),
    (405, "BREW", "/"),
    (200, "GET", "/_stcore/health"),
    (204, "OPTIONS", "/_stcore/health"),
    (200, "GET", "/_stcore/host-config"),
    (404, "GET", "/static/js/absent.js"),
    (404, "GET", "/media/absent.png"),
    (404, "GET", "/component/absent/index.html"),
    (404, "GET", "/../etc/passwd"),
    (401, "GET", "/integrations/session"),
    (403, "POST", "/integrations/session"),
    (405, "DELETE", "/integrations/session"),
    (401, "GET", "/integrations/usage"),
    (405, "POST", "/integrations/usage"),
    (404, "GET", "/_stcore/metrics"),
    (307, "GET", "/integrations"),
    (405, "POST", "/integrations"),
    (404, "GET", "/integrations/usages"),
    (500, "GET", "/fails"),
]


def assert_protected(headers: dict[str, str]) -> None:
    """Check the headers that every answer must have."""
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["object-src"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert policy["base-uri"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    assert "*" not in headers["content-security-policy"]
    assert "http:" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert "server" not in headers
    assert "x-powered-by" not in headers


@pytest.mark.parametrize(("status", "method", "path"), REQUESTS)
def test_every_answer_has_the_headers(server: Server, status: int, method: str, path: str) -> None:
    """Page, files, health, our routes, refusals and failures; none names the server's software."""
    answer = server.ask(path, method)
    assert answer.status == status
    assert_protected(answer.headers)


def test_the_page_names_no_other_host_and_its_files_have_the_headers(server: Server) -> None:
    """Streamlit's files are served from memory, before its own routes."""
    answer = server.ask("/")
    assert b'src="http' not in answer.body
    assert b'href="http' not in answer.body
    assert "//" not in answer.headers["content-security-policy"]
    script = answer.body.decode().partition('src="./static/js/')[2].partition('"')[0]
    file = server.ask(f"/static/js/{script}")
    assert file.status == 200
    assert "javascript" in file.headers["content-type"]
    assert_protected(file.headers)


def test_without_https_there_is_no_hsts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PANEL_COOKIE_SECURE=false no answer has Strict-Transport-Security."""
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    headers = SecurityHeadersMiddleware(Response("page"))._headers
    assert "Content-Security-Policy" in headers
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("place", ["", "/panel"])
@pytest.mark.parametrize("path", ["/integrations", "/integrations/"])
def test_the_panels_name_redirects_to_its_page(server: Server, path: str, place: str) -> None:
    """The address is relative, so that it is right under a proxy's path, too."""
    answer = server.ask(path)
    assert answer.status == 307
    assert urljoin(f"https://panel.example.com{place}{path}", answer.headers["location"]) == (
        f"https://panel.example.com{place}/"
    )


def handshake(server: Server, origin: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of a websocket's handshake."""
    try:
        with connect(f"ws://{server.host}/_stcore/stream", origin=Origin(origin)) as stream:
            assert stream.response is not None
            answer = stream.response
    except InvalidStatus as refused:
        answer = refused.response
    return answer.status_code, {name.lower(): text for name, text in answer.headers.raw_items()}


def test_a_handshake_has_the_headers(server: Server) -> None:
    """The answer to a websocket's handshake, accepted or refused."""
    accepted, headers = handshake(server, f"http://{server.host}")
    assert accepted == 101
    assert_protected(headers)
    refused, headers = handshake(server, "http://evil.test")
    assert refused == 403
    assert_protected(headers)


@pytest.mark.parametrize(
    "origin", ["http://evil.test", "http://localhost", "http://127.0.0.1:1", "null", "http://[::1"]
)
def test_a_websocket_from_another_origin_is_refused(server: Server, origin: str) -> None:
    """Streamlit alone would accept any port of localhost, to which the browser sends our cookie."""
    assert handshake(server, origin)[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/_stcore/upload_file/session/file"),
        ("DELETE", "/_stcore/upload_file/session/file"),
        ("OPTIONS", "/_stcore/upload_file/session/file"),
        ("GET", "/_stcore/metrics"),
        ("GET", "/_stcore/script-health-check"),
        ("GET", "/_stcore/agent/openapi.json"),
        ("POST", "/_stcore/agent/interact"),
        ("POST", "/_stcore/agent/mcp"),
        ("GET", "/auth/login"),
        ("GET", "/auth/logout"),
        ("GET", "/oauth2callback"),
        ("GET", "/%5fstcore/metrics"),
        ("GET", "/media/0123.png"),
        ("GET", "/component/streamlit_authenticator/index.html"),
        ("GET", "/_stcore/bidi-components/another/index.js"),
        ("GET", "/integration/usage"),
        ("GET", "/integrations/usage/"),
        ("GET", "/healthz"),
    ],
)
def test_unused_paths_are_closed(server: Server, method: str, path: str) -> None:
    """Only listed paths are served; a misspelt one is a 404 and not the page."""
    answer = server.ask(path, method)
    assert answer.status == 404
    assert answer.body == b"There is no such page. The panel's only page is /\n"


CLOSED_ROUTES = {
    "/_stcore/script-health-check",
    "/_stcore/metrics",
    "/_stcore/upload_file/{session_id}/{file_id}",
    "/_stcore/bidi-components/{path:path}",  # except our own folder
    "/_stcore/agent/interact",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/auth/login",
    "/auth/logout",
    "/oauth2callback",
    "/media/{file_id:path}",
    "/component/{path:path}",
    "",  # the mount of the page's files; OPEN_PATHS and OPEN_FOLDERS name the open ones
}


def test_every_route_of_streamlit_is_listed(server: Server) -> None:
    """A route that a later Streamlit adds fails this test before anybody opens it."""
    built = server.app._starlette_app
    assert built is not None
    paths = {str(getattr(route, "path", route)) for route in built.routes}
    assert paths - {route.path for route in ROUTES} - {"/fails"} <= OPEN_PATHS | CLOSED_ROUTES
    assert not OPEN_PATHS & CLOSED_ROUTES
    assert all(
        folder.startswith(("/static/", "/_stcore/bidi-components/integrations.")) for folder in OPEN_FOLDERS
    )


def test_objects_of_the_start_are_frozen() -> None:
    """Garbage collections skip them after the page has warmed up."""

    async def start() -> None:
        async with lifespan(None):
            pass

    try:
        run_async(start())
        for thread in threading.enumerate():
            if thread.name == "warm-up":
                thread.join(20)
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


def test_a_failure_is_logged_and_not_shown(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The browser gets the status alone, and the log the traceback."""
    answer = server.ask("/fails")
    assert (answer.status, answer.body) == (500, b"")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "A request failed: GET '/fails'"
    assert record.exc_info is not None


def test_the_configuration_is_safe() -> None:
    """It disables messages of other origins, forged requests, and error details on the page."""
    config = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["client"]["allowedOrigins"] == []  # by default every app on streamlit.app
    assert config["client"]["showErrorDetails"] == "none"
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert config["browser"]["gatherUsageStats"] is False
    assert not {"enableStaticServing", "enableAgentApi", "scriptHealthCheckEnabled"} & config["server"].keys()
