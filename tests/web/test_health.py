"""`/integrations/health/…`, asked over a real socket."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integrations import checks
from integrations.access import store_edit
from integrations.demo.server import Simulator
from integrations.settings import panel_settings
from integrations.web import assets, health
from tests.conftest import AddUser
from tests.support.processes import free_port
from tests.web.asgi_server import Server

LIVE = "/integrations/health/live"
READY = "/integrations/health/ready"


@pytest.fixture(autouse=True)
def _each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", 0.0)


@pytest.mark.parametrize(("path", "word"), [(LIVE, b"live\n"), (READY, b"ready\n")])
def test_one_word_without_a_sign_in(
    server: Server, add_user: AddUser, imai: Simulator, path: str, word: bytes
) -> None:
    """No cookie, no token, nothing kept by a cache, and no provider is asked."""
    add_user("alice", roles=["admin"])
    answer = server.ask(path)
    assert (answer.status, answer.body) == (200, word)
    assert answer.headers["cache-control"] == "no-store"
    assert server.ask(path, "HEAD").status == 200
    assert server.ask(path, "POST").status == 405
    assert imai.calls == 0


def test_without_a_readable_store_it_lives_and_is_not_ready(
    server: Server, add_user: AddUser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The word says nothing of the inside; the log has one line when it begins and one when it ends."""
    add_user("alice", roles=["admin"])
    store = tmp_path / "auth.yaml"
    good = store.read_text()
    store.write_text("roles: [")
    with caplog.at_level(logging.WARNING, health.__name__):
        for _ in range(20):
            answer = server.ask(READY)
            assert (answer.status, answer.body) == (503, b"unavailable\n")
        assert server.ask(LIVE).status == 200
        store.write_text(good)
        for _ in range(20):
            assert server.ask(READY).status == 200
    lines = [record.getMessage() for record in caplog.records if record.name == health.__name__]
    assert lines == ["Not ready: sign-in store", "Ready again"]


def test_without_its_state_it_is_not_ready(
    server: Server, add_user: AddUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody could stay signed in; the log names the state."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", f"redis://127.0.0.1:{free_port()}")
    assert server.ask(READY).status == 503
    assert "Not ready: state" in caplog.text


def test_while_the_environment_is_replaced_it_is_not_ready(
    server: Server, add_user: AddUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is missing then, whatever the process still knows."""
    add_user("alice", roles=["admin"])
    assert server.ask(READY).status == 200
    monkeypatch.setattr(assets, "directory", lambda: tmp_path / "gone")
    assert server.ask(READY).status == 503


def test_wrong_settings_are_not_ready(
    server: Server, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start refuses them; should they be read later, the balancer hears of it."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "32")
    assert server.ask(READY).status == 503


def test_a_flood_of_questions_is_one_check(
    server: Server, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody within a second shares an answer, however slow the check."""
    add_user("alice", roles=["admin"])
    checks: list[None] = []

    def check() -> bool:
        checks.append(None)
        return True

    monkeypatch.setattr(health, "KEPT_SECONDS", 60.0)
    monkeypatch.setattr(health, "CHECKS", (("counted", check),))
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(server.ask, [READY] * 40)} == {200}
    assert len(checks) == 1


def test_the_start_needs_no_store_to_live(server: Server) -> None:
    """A new panel, to which the first user is yet to be added, lives and is not ready."""
    checks.check_settings()
    assert not panel_settings().auth_file.exists()
    assert (server.ask(LIVE).status, server.ask(READY).status) == (200, 503)


def test_with_a_store_in_which_nobody_is_left_it_is_not_ready(
    server: Server, add_user: AddUser, tmp_path: Path
) -> None:
    """Machines may still read with their tokens, but nobody can sign in."""
    add_user("alice", roles=["admin"])
    assert server.ask(READY).status == 200
    store_edit.change(tmp_path / "auth.yaml", lambda content: store_edit.without_user(content, "alice"))
    assert server.ask(READY).status == 503
