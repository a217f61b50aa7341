"""The server's own routes and headers, asked over a real socket."""

import gc
import logging
import socket
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urljoin

import bcrypt
import pytest
import time_machine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message
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

HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
COOKIE = "__Host-integrations-session"


async def _fails(_request: Request) -> Response:
    raise RuntimeError("a secret of the inside")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all these tests; what it keeps is as new for each of them."""
    with Server(Route("/fails", _fails)) as running:
        yield running


@pytest.fixture(autouse=True)
def _alice(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"], password=HASHED)


def ticket() -> str:
    """What the right password gives."""
    outcome = auth().sign_in("alice", PASSWORD)
    assert not isinstance(outcome, SignInRefused)
    return outcome


def test_a_ticket_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(server: Server) -> None:
    """HttpOnly, Secure, SameSite=Strict, Path=/, no Domain, of this browser session, and with our prefix."""
    answer = server.exchange(ticket())
    assert answer.status == 204
    cookie = answer.cookie
    assert cookie.key == COOKIE
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == "/"
    assert not cookie["domain"]
    assert not cookie["max-age"]
    assert not cookie["expires"]
    assert len(cookie.value) == 43
    assert isinstance(auth().authenticate(cookie.value), Principal)


def test_the_session_is_never_in_a_body_or_another_header(server: Server) -> None:
    """The session id is in the cookie's header alone."""
    answer = server.exchange(ticket())
    secret = answer.cookie.value
    assert answer.body == b""
    assert [name for name, text in answer.headers.items() if secret in text] == ["set-cookie"]


def test_a_replayed_ticket_is_refused(server: Server) -> None:
    """The second exchange of one ticket is a 401."""
    secret = ticket()
    assert server.exchange(secret).status == 204
    again = server.exchange(secret)
    assert again.status == 401
    assert "set-cookie" not in again.headers


def test_a_ticket_is_refused_after_30_seconds(server: Server) -> None:
    """An exchange 30 seconds after the sign-in is a 401."""
    with time_machine.travel(1_800_000_000, tick=False) as clock:
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
def test_a_post_from_elsewhere_is_refused_and_costs_no_ticket(
    server: Server, headers: dict[str, str]
) -> None:
    """Another site's page can sign nobody in, and cannot use a ticket up."""
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
    """Whatever is posted gets a plain refusal, nothing echoed and no traceback."""
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
    """A client that announces a body and leaves causes no traceback, and the server goes on."""
    with socket.create_connection(("127.0.0.1", int(server.host.rpartition(":")[2]))) as client:
        head = (
            f"POST /integrations/session HTTP/1.1\r\nHost: {server.host}\r\nOrigin: http://{server.host}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        client.sendall(head.encode())
    assert server.ask("/integrations/session").status == 401
    assert all(record.exc_info is None for record in caplog.records)


def test_the_page_can_ask_whether_the_browser_kept_the_cookie(server: Server) -> None:
    """204 with the session's cookie, 401 without, with a forged one, or after its end; it is told nothing else."""
    secret = server.exchange(ticket()).cookie.value
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={secret}").status == 204
    assert server.ask("/integrations/session").status == 401
    for forged in (secret[:-1], secret + "x", "", "x" * 5000, '"', "\xe9"):
        assert server.ask("/integrations/session", Cookie=f"{COOKIE}={forged}").status == 401
    assert server.ask("/integrations/session", Cookie=f"integrations-session={secret}").status == 401
    auth().sign_out(secret)
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={secret}").status == 401


def test_without_the_state_an_exchange_and_a_check_say_that_there_is_no_telling(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and no cookie: the page must not say that the browser kept none, or that the ticket was too old."""
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


def test_a_slow_state_holds_up_nobody_else(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the state waits in a thread of its own: the server answers others meanwhile."""
    reached, let_go = threading.Event(), threading.Event()

    def slow(_key: str) -> None:
        reached.set()
        let_go.wait(timeout=10)

    forged = f"{COOKIE}={'x' * 43}"
    with monkeypatch.context() as patch:
        patch.setattr(state(), "get", slow)
        patch.setattr(state(), "take", slow)
        for wait in (
            partial(server.exchange, "x" * 43),
            partial(server.ask, "/integrations/session", Cookie=forged),
            partial(server.ask, "/integrations/usage", Cookie=forged),
        ):
            reached.clear()
            let_go.clear()
            waiting = threading.Thread(target=wait)
            waiting.start()
            assert reached.wait(timeout=10)
            assert server.ask("/_stcore/health").status == 200
            assert waiting.is_alive()
            let_go.set()
            waiting.join()


def test_a_new_sign_in_ends_the_one_whose_cookie_it_replaces(server: Server) -> None:
    """The session whose cookie comes with the exchange ends."""
    old = server.exchange(ticket()).cookie.value
    server.exchange(ticket(), Cookie=f"{COOKIE}={old}")
    assert server.ask("/integrations/session", Cookie=f"{COOKIE}={old}").status == 401


def test_on_plain_http_the_cookie_is_without_secure_and_prefix(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PANEL_COOKIE_SECURE=false the cookie keeps its other attributes."""
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    cookie = server.exchange(ticket()).cookie
    assert cookie.key == "integrations-session"
    assert not cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"


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
    """The headers that every answer must have."""
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
    """Page, health, our routes, refusals and failures alike, and none names the server's software."""
    answer = server.ask(path, method)
    assert answer.status == status
    assert_protected(answer.headers)


def test_streamlit_s_files_have_the_headers_too(server: Server) -> None:
    """Files that are served from memory have them as well."""
    page = server.ask("/").body.decode()
    script = page.partition('src="./static/js/')[2].partition('"')[0]
    answer = server.ask(f"/static/js/{script}")
    assert answer.status == 200
    assert "javascript" in answer.headers["content-type"]
    assert_protected(answer.headers)


@pytest.mark.parametrize("place", ["", "/panel"])
@pytest.mark.parametrize("path", ["/integrations", "/integrations/"])
def test_the_name_of_the_panel_leads_to_its_page(server: Server, path: str, place: str) -> None:
    """By a relative address, which is right under a proxy's path, too."""
    answer = server.ask(path)
    assert answer.status == 307
    assert urljoin(f"https://panel.example.com{place}{path}", answer.headers["location"]) == (
        f"https://panel.example.com{place}/"
    )


def handshake(server: Server, origin: str) -> tuple[int, dict[str, str]]:
    """Status and headers of a websocket's handshake."""
    try:
        with connect(f"ws://{server.host}/_stcore/stream", origin=Origin(origin)) as stream:
            assert stream.response is not None
            answer = stream.response
    except InvalidStatus as refused:
        answer = refused.response
    return answer.status_code, {name.lower(): text for name, text in answer.headers.raw_items()}


def test_a_websocket_has_the_headers_accepted_or_refused(server: Server) -> None:
    """The answer to a websocket's handshake has them, too."""
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
    """Streamlit would accept any port of localhost, where the browser sends our cookie, too."""
    assert handshake(server, origin)[0] == 403


def test_without_https_there_is_no_hsts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PANEL_COOKIE_SECURE=false no answer has Strict-Transport-Security."""
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    run_async(SecurityHeadersMiddleware(Response("page"))(scope, receive, send))
    headers = {name.decode() for name, _ in sent[0]["headers"]}
    assert "content-security-policy" in headers
    assert "strict-transport-security" not in headers


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
def test_what_the_panel_does_not_use_is_closed(server: Server, method: str, path: str) -> None:
    """Only listed addresses are answered; a misspelt one is a 404 and not the page."""
    answer = server.ask(path, method)
    assert answer.status == 404
    assert answer.body == b"There is no such page. The panel's only page is /\n"


CLOSED_ROUTES = {
    "/_stcore/script-health-check",
    "/_stcore/metrics",
    "/_stcore/upload_file/{session_id}/{file_id}",
    "/_stcore/bidi-components/{path:path}",  # but for our own folder of it
    "/_stcore/agent/interact",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/auth/login",
    "/auth/logout",
    "/oauth2callback",
    "/media/{file_id:path}",
    "/component/{path:path}",
    "",  # the mount of the page's files, of which OPEN_PATHS and OPEN_FOLDERS name what is open
}


def test_every_route_of_streamlit_is_known(server: Server) -> None:
    """A route that a later Streamlit adds is in neither list, and fails this test before anybody opens it."""
    built = server.app._starlette_app
    assert built is not None
    paths = {str(getattr(route, "path", route)) for route in built.routes}
    assert paths - {route.path for route in ROUTES} - {"/fails"} <= OPEN_PATHS | CLOSED_ROUTES
    assert not OPEN_PATHS & CLOSED_ROUTES
    assert all(
        folder.startswith(("/static/", "/_stcore/bidi-components/integrations.")) for folder in OPEN_FOLDERS
    )


def test_what_is_loaded_at_the_start_is_spared_from_garbage_collection() -> None:
    """Once the page is warm, its modules' objects are frozen, and a collection does not go through them."""

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


def test_a_failure_tells_the_log_and_not_the_browser(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The browser gets the status alone, and the log the traceback."""
    answer = server.ask("/fails")
    assert (answer.status, answer.body) == (500, b"")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "A request failed: GET '/fails'"
    assert record.exc_info is not None


def test_the_page_names_no_other_host(server: Server) -> None:
    """Neither the page nor its Content-Security-Policy names another host."""
    answer = server.ask("/")
    assert b'src="http' not in answer.body
    assert b'href="http' not in answer.body
    assert "//" not in answer.headers["content-security-policy"]


def test_the_configuration_protects() -> None:
    """Messages of other origins, forged requests and error details on the page are switched off."""
    config = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["client"]["allowedOrigins"] == []  # by default every app on streamlit.app
    assert config["client"]["showErrorDetails"] == "none"
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert config["browser"]["gatherUsageStats"] is False
    assert not {"enableStaticServing", "enableAgentApi", "scriptHealthCheckEnabled"} & config["server"].keys()
