"""The deadline at the level of sockets."""

import socket
import time

import pytest

from integrations.transport.deadline import Deadline
from tests.support.races import races


def test_no_connection_outlives_the_cut() -> None:
    """The time is cut at each line of its begin, and the other side sees the end of the connection."""
    for race in races("integrations.transport.deadline"):
        deadline = Deadline(60)
        ours, theirs = socket.socketpair()

        def begin(deadline: Deadline = deadline, ours: socket.socket = ours) -> None:
            try:
                deadline.watch(ours)
            except TimeoutError:
                assert ours.fileno() == -1

        with ours, theirs:
            race(begin, deadline.cut)
            theirs.settimeout(1)
            assert theirs.recv(1) == b""
            with pytest.raises(TimeoutError):
                deadline.watch(ours)


def test_a_pause_ends_with_the_deadline() -> None:
    """It lasts as long as requested before that, and after a cut not at all."""
    began = time.monotonic()
    Deadline(60).wait(0.02)
    assert time.monotonic() - began >= 0.02
    over = Deadline(60)
    over.cut()
    for deadline in (Deadline(0.02), over):
        deadline.wait(60)
        assert deadline.remaining() == 0
    assert time.monotonic() - began < 5
