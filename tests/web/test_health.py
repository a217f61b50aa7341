"""`/integrations/health/…`, requested over a real socket."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integrations.access import store_edit
from integrations.checks import Finding
from integrations.demo.server import Simulator
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
    """It needs neither cookie nor token, is never cached, and calls no provider."""
    add_user("alice", roles=["admin"])
    answer = server.ask(path)
    assert (answer.status, answer.body) == (200, word)
    assert answer.headers["cache-control"] == "no-store"
    assert server.ask(path, "HEAD").status == 200
    assert server.ask(path, "POST").status == 405
    assert imai.calls == 0


def test_without_a_readable_store_it_is_live_and_not_ready(
    server: Server, add_user: AddUser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer reveals no details; the log has one line when it begins and one when it ends."""
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
    begin, end = [record.getMessage() for record in caplog.records if record.name == health.__name__]
    assert begin.startswith(f"Not ready: users: Nobody can sign in yet: {store}:1: ")
    assert end == "Ready again"


def test_without_its_state_it_is_not_ready(
    server: Server, add_user: AddUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody could stay signed in; the log gives the reason."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", f"redis://127.0.0.1:{free_port()}")
    assert server.ask(READY).status == 503
    assert "Not ready: state: PANEL_STATE_URL: 127.0.0.1:" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            lambda patch, path: patch.setattr(assets, "directory", lambda: path / "gone"), id="no files"
        ),
        pytest.param(lambda patch, _: patch.setenv("IMAI_RENEWAL_DAY", "32"), id="wrong settings"),
        pytest.param(lambda _, path: (path / "auth.yaml").unlink(), id="no store"),
        pytest.param(
            lambda _, path: store_edit.change(
                path / "auth.yaml", lambda content: store_edit.without_user(content, "alice")
            ),
            id="no users",
        ),
    ],
)
def test_a_panel_that_cannot_serve_is_live_and_not_ready(
    server: Server,
    add_user: AddUser,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    damage: Callable[[pytest.MonkeyPatch, Path], object],
) -> None:
    """The load balancer then uses another process."""
    add_user("alice", roles=["admin"])
    damage(monkeypatch, tmp_path)
    assert (server.ask(LIVE).status, server.ask(READY).status) == (200, 503)


def test_a_flood_of_requests_causes_one_check(
    server: Server, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All requests within a second share a result, also of a slow check."""
    add_user("alice", roles=["admin"])
    times: list[None] = []

    def check() -> Iterator[Finding]:
        times.append(None)
        yield Finding("counted", "all is well")

    monkeypatch.setattr(health, "KEPT_SECONDS", 60.0)
    monkeypatch.setattr(health, "CHECKS", (check,))
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(server.ask, [READY] * 40)} == {200}
    assert len(times) == 1
