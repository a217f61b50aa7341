"""The engines, each in a place of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from integrations.state import State, StateError, UnusableStateError, open_state
from tests.state.redis_server import RedisServer

MOUNTS: Final = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-euc"]
"""Runs a shell that may mount, and whose mounts no other process sees."""


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the tests that do not disturb it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """The shared Redis, emptied."""
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop and start."""
    with RedisServer(tmp_path) as server:
        yield server


Open = Callable[[str], State]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a state by its URL; it is closed after the test."""
    states: list[State] = []

    def open_(url: str) -> State:
        states.append(open_state(url))
        return states[-1]

    yield open_
    for state in states:
        state.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state's file will be."""
    return tmp_path / "state.sqlite3"


@pytest.fixture
def url(path: Path) -> str:
    """The URL of the state's file."""
    return f"sqlite:///{path}"


class Another:
    """Another process of the panel, which evaluates expressions about its `state`."""

    CODE: Final = """
import sys
from concurrent.futures import ThreadPoolExecutor
from integrations.state import open_state
state, held = open_state(sys.argv[1]), []
for line in sys.stdin:
    print(eval(line), flush=True)
"""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, expression: str) -> None:
        """Let it evaluate an expression, without waiting for the result."""
        assert self.process.stdin
        print(expression, file=self.process.stdin, flush=True)

    def answer(self) -> str:
        """Return the next result."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, expression: str) -> str:
        """Return the result of an expression."""
        self.tell(expression)
        return self.answer()

    def stop(self) -> None:
        """End it as a restart does."""
        self.process.communicate(timeout=30)


@pytest.fixture
def others(url: str) -> Iterator[list[Another]]:
    """Two more processes on the state."""
    made = [Another(url), Another(url)]
    yield made
    for other in made:
        other.stop()


def error(state: State) -> str:
    """Return the error of reading."""
    with pytest.raises(StateError) as caught:
        state.get("a")
    return str(caught.value)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the state's lines in the log, without what follows the place."""
    records = (record for record in caplog.records if record.name.startswith("integrations.state"))
    return [": ".join(record.getMessage().split(": ")[:2]) for record in records]


def refused(state: State) -> str:
    """Return the error of a state that a person must repair; reading and checking agree."""
    with pytest.raises(UnusableStateError) as checked:
        state.check()
    with pytest.raises(UnusableStateError) as read:
        state.get("a")
    assert str(read.value) == str(checked.value)
    return str(read.value)
