"""The engines, each in a place of its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from integrations.state import State, StateError, open_state
from tests.state.redis_server import RedisServer

MOUNTS: Final = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-euc"]
"""Runs a shell that may mount, and whose mounts nobody else sees."""


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


Open = Callable[[str], State]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a state by its URL; closed after the test."""
    states: list[State] = []

    def open_(url: str) -> State:
        states.append(open_state(url))
        return states[-1]

    yield open_
    for state in states:
        state.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the state's file, which is not there yet."""
    return tmp_path / "state.sqlite3"


def error(state: State) -> str:
    """What reading says."""
    with pytest.raises(StateError) as caught:
        state.get("a")
    return str(caught.value)
