"""`GET /integrations/usage`, asked over a real socket."""

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
from tests.conftest import IMAI, PASSWORD, AddUser
from tests.web.asgi_server import Answer, Server

USAGE = "/integrations/usage"


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])
    add_user("victor", roles=["guest"])


def cookie_of(name: str) -> str:
    """The Cookie header of somebody who signed in."""
    session_id = auth().redeem(str(auth().sign_in(name, PASSWORD)))
    return f"{auth().cookie_name}={session_id}"


def token(role: str = "admin", name: str = "monitor") -> str:
    """A new token, as the command prints it."""
    made = CliRunner().invoke(main, ["tokens", "add", name, "--role", role])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def problem(answer: Answer) -> dict[str, object]:
    """The body of an error, once its form was found right."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, object] = json.loads(answer.body)
    assert list(body) == ["type", "title", "status", "detail"]
    assert body["status"] == answer.status
    return body


def test_a_person_and_a_machine_read_what_the_page_reads(server: Server, imai: Simulator) -> None:
    """Cookie or token, page or endpoint: the same figures from one call."""
    shown = shared.fresh_report([IMAI]).integrations[0]
    by_cookie = server.ask(USAGE, cookie=cookie_of("alice"))
    by_token = server.ask(USAGE, authorization=f"Bearer {token()}")
    assert by_cookie.status == by_token.status == 200
    assert json.loads(by_cookie.body) == {"integrations": [shown.model_dump(mode="json")]}
    assert by_token.body == by_cookie.body
    assert by_token.headers["content-type"] == "application/json"
    assert by_token.headers["cache-control"] == "no-store"
    assert imai.calls == 1


@pytest.mark.usefixtures("imai")
def test_a_session_counts_although_a_proxy_adds_a_token_of_its_own(server: Server) -> None:
    """A proxy for single sign-on sends `Authorization: Bearer …` with every request."""
    for _ in range(2):
        answer = server.ask(USAGE, cookie=cookie_of("alice"), authorization="Bearer of-the-proxy")
        assert answer.status == 200


def test_the_document_begins_with_the_design_documents_keys(server: Server, imai: Simulator) -> None:
    """Six keys in their order, then ours; numbers are numbers."""
    imai.credits = "7499.98"
    body = server.ask(USAGE, cookie=cookie_of("alice")).body.decode()
    assert body.startswith(
        '{"integrations":[{"provider":"IMAI","totalQuota":10000,"remainingQuota":7499.98,"usedQuota":2500.02,'
        '"usagePercentage":25,"status":"active","unit":"credits","level":"ok","fetchedAt":"'
    )


def test_a_failing_provider_is_still_a_200(server: Server, imai: Simulator) -> None:
    """Partial success: the failure is a reading in an error state."""
    imai.mode = "invalid_api_key"
    answer = server.ask(USAGE, cookie=cookie_of("alice"))
    reading = json.loads(answer.body)["integrations"][0]
    assert answer.status == 200
    assert (reading["status"], reading["remainingQuota"]) == ("error", None)
    assert reading["error"]["code"] == "authentication_failed"


def test_nothing_in_the_request_forces_a_call(server: Server, imai: Simulator) -> None:
    """Neither the query nor Cache-Control makes the panel ask the provider."""
    cookie = cookie_of("alice")
    for path in (USAGE, f"{USAGE}?refresh=1", f"{USAGE}?refresh=true&nocache=1"):
        assert server.ask(path, cookie=cookie, cache_control="no-cache").status == 200
    assert imai.calls == 1


def test_without_a_session_it_is_401(server: Server, imai: Simulator) -> None:
    """No cookie, a forged one, an ended one, a token in the URL, a HEAD: nobody gets in and nobody is asked."""
    ended = cookie_of("alice")
    auth().sign_out(ended.partition("=")[2])
    secret = token()
    for headers in (
        {},
        {"cookie": f"{auth().cookie_name}=x"},
        {"cookie": ended},
        {"authorization": "Basic eA=="},
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
    """A role that does not grant `integration:Read` is refused, a person's and a machine's; nobody is asked."""
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
def test_a_store_that_cannot_be_read_is_503_in_one_line(server: Server, tmp_path: Path) -> None:
    """Nobody gets in on an old copy, and the body tells nothing of the file."""
    cookie, secret = cookie_of("alice"), token()
    (tmp_path / "auth.yaml").write_text("roles: [")
    for headers in ({"cookie": cookie}, {"authorization": f"Bearer {secret}"}):
        answer = server.ask(USAGE, "GET", None, **headers)
        assert answer.status == 503
        assert problem(answer)["detail"] == "Sign-in is unavailable."
        assert b"auth.yaml" not in answer.body


@pytest.mark.usefixtures("imai")
def test_a_removed_token_is_refused_at_the_next_call(server: Server) -> None:
    """The store is read anew for each call, where it changed."""
    bearer = f"Bearer {token()}"
    assert server.ask(USAGE, authorization=bearer).status == 200
    CliRunner().invoke(main, ["tokens", "remove", "monitor"])
    assert server.ask(USAGE, authorization=bearer).status == 401


@pytest.mark.usefixtures("imai")
def test_a_token_is_good_for_the_endpoint_alone(server: Server) -> None:
    """The route of sessions refuses a token."""
    assert server.ask("/integrations/session", authorization=f"Bearer {token()}").status == 401


@pytest.mark.usefixtures("imai")
def test_a_thousand_wrong_tokens_lock_out_only_themselves(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """They end in 429, fill neither the log nor people's attempts, and the right token goes on."""
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


@pytest.mark.usefixtures("imai")
@pytest.mark.parametrize("bearer", ["Bearer " + "x" * 30_000, "Bearer", "Bearer   ", "Bearer \xff\xfe"])
def test_a_hostile_header_is_a_plain_refusal(server: Server, bearer: str) -> None:
    """Long, empty or garbled: 401."""
    assert server.ask(USAGE, authorization=bearer).status == 401


def test_polling_does_not_keep_a_session_alive(
    server: Server, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that reads with a person's cookie does not count as use of the session."""
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
    """What the shell line of docs/usage-json.md prints, as it stands there, with this server and a token."""
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


def test_the_documented_one_liner_works(server: Server, imai: Simulator) -> None:
    """With figures, without any, without a total, and with old ones: never a null."""
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


def test_the_one_liner_without_a_total(
    server: Server, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No share of an unknown total."""
    monkeypatch.delenv("IMAI_TOTAL_CREDITS")
    assert one_liner(server, token()) == "IMAI: 7500 credits left\n"
    assert imai.calls == 1


def test_the_unit_is_the_same_before_and_after_the_first_reading(server: Server, imai: Simulator) -> None:
    """It is the provider's, not a guess that a reading corrects."""
    cookie = cookie_of("alice")
    imai.mode = "http_500"
    before = json.loads(server.ask(USAGE, cookie=cookie).body)["integrations"][0]
    imai.mode = "ok"
    with time_machine.travel(time.time() + 60):
        after = json.loads(server.ask(USAGE, cookie=cookie).body)["integrations"][0]
    assert (before["remainingQuota"], after["remainingQuota"]) == (None, 7500)
    assert before["unit"] == after["unit"] == "credits"
