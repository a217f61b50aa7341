"""The workers of `integrations serve --workers` that fail in ways of their own."""

import socket
import sys
from pathlib import Path

from tests.cli.test_serve import _file, is_there, serving, two_workers  # noqa: F401 - the first is a fixture
from tests.harness import is_healthy, workers_of

HANGING = """
from integrations.cli import main, serve, supervisor

def configuration(*arguments):
    config = configure(*arguments)
    config.app = "tests.cli.hanging:app"
    return config

configure, serve._configuration = serve._configuration, configuration
supervisor._SILENT_SECONDS = 5
main.main()
"""


def test_a_worker_whose_event_loop_hangs_is_replaced(tmp_path: Path) -> None:
    """Its other threads would answer, but nobody has a page of it; five seconds stand for half a minute."""
    with two_workers(tmp_path, [sys.executable, "-c", HANGING]) as server:
        workers = serving(server)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as asking:
            asking.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            server.process.wait_for(lambda: "does not answer and is killed" in server.process.log)
            server.process.wait_for(lambda: server.process.log.count("serves") == 3)
        (hung,) = (worker for worker in workers if not is_there(worker))
        assert f"Worker {hung} does not answer and is killed" in server.process.log
        assert len(workers_of(server.process.running.pid)) == 2
        assert is_healthy(server.url)
