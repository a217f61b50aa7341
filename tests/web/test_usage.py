"""`GET /integrations/usage`, over a real socket."""

import json
import logging
import re
import subprocess
import time
from pathlib import Path

import pytest
import time_machine
from click.testing import CliRunner

from integrations.access import auth
from integrations.cli.main import main
from integrations.demo.server import Simulator
from integrations.readings import shared
from tests.conftest import IMAI, PASSWORD, AddUser, forget
from tests.web.asgi_server import Answer, Server

USAGE = "/integrations/usage"


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])
    add_user("victor", roles=["guest"])


def cookie_of(name: str) -> str:
    """Sign in; return the Cookie header."""
    session_id = auth().redeem(str(auth().sign_in(name, PASSWORD)))
    return f"{auth().cookie_name}={session_id}"


def token(role: str = "admin", name: str = "monitor") -> str:
    """Add a token; return it, as the command prints it."""
    made = CliRunner().invoke(main, ["tokens", "add", name, "--role", role])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def problem(answer: Answer) -> dict[str, object]:
    """Check the form of an error; return its body."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, object] = json.loads(answer.body)
    assert list(body) == ["type", "title", "status", "detail"]
    assert body["status"] == answer.status
    return body


def test_a_person_and_a_machine_read_what_the_page_reads(server: Server, imai: Simulator) -> None:
    """Cookie or token, page or endpoint: the same figures from one call, whatever the request says of caches."""
    shown = shared.fresh_report([IMAI]).integrations[0]
    cookie = cookie_of("alice")
    by_cookie = server.ask(USAGE, cookie=cookie)
    by_token = server.ask(USAGE, authorization=f"Bearer {token()}")
    assert by_cookie.status == by_token.status == 200
    assert json.loads(by_cookie.body) == {"integrations": [shown.model_dump(mode="json")]}
    assert by_token.body == by_cookie.body
    assert by_token.headers["content-type"] == "application/json"
    assert by_token.headers["cache-control"] == "no-store"
    assert server.ask(f"{USAGE}?refresh=true", cookie=cookie, cache_control="no-cache").status == 200
    assert imai.calls == 1


@pytest.mark.usefixtures("imai")
def test_a_session_counts_if_a_proxy_adds_its_own_token(server: Server) -> None:
    """A proxy for single sign-on sends `Authorization: Bearer …` with every request."""
    answer = server.ask(USAGE, cookie=cookie_of("alice"), authorization="Bearer of-the-proxy")
    assert answer.status == 200


def test_the_document_begins_with_the_documented_keys(server: Server, imai: Simulator) -> None:
    """Six keys in their order, then ours; numbers are numbers."""
    imai.credits = "7499.98"
    body = server.ask(USAGE, cookie=cookie_of("alice")).body.decode()
    assert body.startswith(
        '{"integrations":[{"provider":"IMAI","totalQuota":10000,"remainingQuota":7499.98,"usedQuota":2500.02,'
        '"usagePercentage":25,"status":"active","unit":"credits","level":"ok","fetchedAt":"'
    )


def test_a_failing_provider_is_still_a_200(server: Server, imai: Simulator) -> None:
    """The failure is a reading in an error state, with the unit of the figures that may follow."""
    imai.mode = "invalid_api_key"
    answer = server.ask(USAGE, cookie=cookie_of("alice"))
    reading = json.loads(answer.body)["integrations"][0]
    assert answer.status == 200
    assert (reading["status"], reading["remainingQuota"], reading["unit"]) == ("error", None, "credits")
    assert reading["error"]["code"] == "authentication_failed"


def test_without_a_session_it_is_401(server: Server, imai: Simulator) -> None:
    """No cookie, a forged or ended one, a bad header, a token in the URL, a HEAD; no provider is called."""
    ended = cookie_of("alice")
    auth().sign_out(ended.partition("=")[2])
    secret = token()
    for headers in (
        {},
        {"cookie": f"{auth().cookie_name}=x"},
        {"cookie": ended},
        {"authorization": "Basic eA=="},
        {"authorization": "Bearer"},
        {"authorization": "Bearer   "},
        {"authorization": "Bearer \xff\xfe"},
        {"authorization": "Bearer " + "x" * 30_000},
    ):
        answer = server.ask(USAGE, "GET", None, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert problem(answer)["title"] == "Unauthorized"
    assert server.ask(f"{USAGE}?token={secret}&access_token={secret}").status == 401
    assert server.ask(USAGE, "HEAD").status == 401
    assert server.ask(USAGE, "HEAD").body == b""
    assert imai.calls == 0


def test_without_the_permission_it_is_403(server: Server, imai: Simulator) -> None:
    """A role without `integration:Read` is refused, a person's and a machine's; no provider is called."""
    for headers in ({"cookie": cookie_of("victor")}, {"authorization": f"Bearer {token('guest')}"}):
        answer = server.ask(USAGE, "GET", None, **headers)
        assert answer.status == 403
        assert problem(answer)["detail"] == "The permission integration:Read is needed."
    assert imai.calls == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(server: Server, method: str) -> None:
    """The answer names the methods that are possible."""
    answer = server.ask(USAGE, method, cookie=cookie_of("alice"))
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert problem(answer)["title"] == "Method Not Allowed"


@pytest.mark.usefixtures("imai")
def test_an_unreadable_store_is_503(server: Server, tmp_path: Path) -> None:
    """No old copy of the store is used, and the body does not name the file."""
    cookie, secret = cookie_of("alice"), token()
    (tmp_path / "auth.yaml").write_text("roles: [")
    for headers in ({"cookie": cookie}, {"authorization": f"Bearer {secret}"}):
        answer = server.ask(USAGE, "GET", None, **headers)
        assert answer.status == 503
        assert problem(answer)["detail"] == "Sign-in is unavailable."
        assert b"auth.yaml" not in answer.body


@pytest.mark.usefixtures("imai")
def test_a_removed_token_is_refused_at_the_next_call(server: Server) -> None:
    """A token is valid for reading alone, until it is removed."""
    bearer = f"Bearer {token()}"
    assert server.ask(USAGE, authorization=bearer).status == 200
    assert server.ask("/integrations/session", authorization=bearer).status == 401
    CliRunner().invoke(main, ["tokens", "remove", "monitor"])
    assert server.ask(USAGE, authorization=bearer).status == 401


@pytest.mark.usefixtures("imai")
def test_a_thousand_wrong_tokens_lock_nobody_out(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """They end in 429 and fill neither the log nor the attempts of people; a right token works."""
    right = token()
    with caplog.at_level(logging.INFO):
        statuses = [
            server.ask(USAGE, authorization=f"Bearer wrong-{number}").status for number in range(1000)
        ]
    assert statuses == [401] * 300 + [429] * 700
    assert [record.name for record in caplog.records].count("integrations.audit") == 300
    assert server.ask(USAGE, authorization=f"Bearer {right}").status == 200
    assert cookie_of("alice")
    with time_machine.travel(time.time() + 901):
        assert server.ask(USAGE, authorization="Bearer wrong").status == 401


def test_polling_does_not_keep_a_session_alive(
    server: Server, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading with a person's cookie is no use of the session."""
    monkeypatch.setenv("PANEL_SESSION_IDLE_MINUTES", "10")
    began = time.time()
    with time_machine.travel(began, tick=False) as clock:
        cookie = cookie_of("alice")
        for minute in (4, 8):
            clock.move_to(began + minute * 60)
            assert server.ask(USAGE, cookie=cookie).status == 200
        clock.move_to(began + 600)
        assert server.ask(USAGE, cookie=cookie).status == 401
    assert imai.calls >= 1


def one_liner(server: Server, secret: str) -> str:
    """Run the shell line of docs/usage-json.md with this server and token; return its output."""
    document = (Path(__file__).parents[2] / "docs" / "usage-json.md").read_text(encoding="utf-8")
    line = next(line for line in document.splitlines() if line.startswith("curl ") and "| jq" in line)
    run = subprocess.run(
        ["/bin/sh", "-c", line],
        env={"PATH": "/usr/bin:/bin", "PANEL": f"http://{server.host}", "TOKEN": secret},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_the_documented_one_liner_works(
    server: Server, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never prints a null: with figures, without any, with old ones, and without a total."""
    secret = token()
    imai.mode = "http_500"
    assert one_liner(server, secret) == "IMAI: Unable to fetch quota. Please try again.\n"
    imai.mode = "ok"
    with time_machine.travel(time.time() + 60):
        assert one_liner(server, secret) == "IMAI: 7500 credits left (25% used)\n"
    imai.mode = "http_500"
    with time_machine.travel(time.time() + 600):
        shared.of(IMAI).request_refresh()
        assert re.fullmatch(
            r"IMAI: 7500 credits left \(25% used\), read at \S+Z\n", one_liner(server, secret)
        )
    imai.mode = "ok"
    monkeypatch.delenv("IMAI_TOTAL_CREDITS")
    forget()
    assert one_liner(server, secret) == "IMAI: 7500 credits left\n"
