"""A simulator whose clock a test moves."""

from collections.abc import Iterator

import pytest

from integrations.demo.server import Simulator
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def simulator(clock: Clock) -> Iterator[Simulator]:
    with Simulator(clock=clock) as simulator:
        yield simulator
