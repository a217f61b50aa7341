"""The deadline, held at the level of sockets."""

import socket
import time

import pytest

from integrations.transport.deadline import Deadline
from tests.support.races import races


def test_no_connection_outlives_the_cut_whenever_it_comes_about() -> None:
    """At whatever line of its beginning the time is cut, the other side sees the connection's end."""
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


def test_a_pause_lasts_as_asked_but_never_beyond_the_time() -> None:
    """It ends with the deadline, and after a cut there is none."""
    began = time.monotonic()
    Deadline(60).wait(0.02)
    assert time.monotonic() - began >= 0.02
    over = Deadline(60)
    over.cut()
    for deadline in (Deadline(0.02), over):
        deadline.wait(60)
        assert deadline.remaining() == 0
    assert time.monotonic() - began < 5
