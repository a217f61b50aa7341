"""The workers of `integrations serve --workers`: started, watched, replaced and ended.

uvicorn's own supervisor waits for one worker after the other, up to 30 seconds, and obeys no signal meanwhile; its
workers outlive it where it is killed. Here nothing waits for a worker, and a worker ends with its supervisor.
"""

import logging
import math
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Final

import uvicorn

from integrations.cli.fair_listener import FairListener

log = logging.getLogger("integrations")

_LOOK_SECONDS: Final = 0.2
_LEAVE_SECONDS: Final = 3.7
"""A worker that was told to end is killed so long after; the rest of five seconds is for everything else."""

_SILENT_SECONDS: Final = 30.0
"""A worker that has not answered for so long is hung."""

_START_SECONDS: Final = 120.0
"""So long a start may take: many workers at once, on few cores."""

_PAUSE_SECONDS: Final = 5.0
"""Between a worker that did not start, or served no longer than this, and the next start."""

_READY: Final = b"ready"
_SPAWN: Final = multiprocessing.get_context("spawn")


class _Server(uvicorn.Server):
    """Counts the turns of its main loop: while it hangs, there are none."""

    turns = 0

    async def on_tick(self, counter: int) -> bool:
        """See `uvicorn.Server`; ten times a second."""
        self.turns += 1
        return await super().on_tick(counter)


def _work(config: uvicorn.Config, listener: socket.socket, supervisor: Connection) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until it serves: Ctrl+C reaches the supervisor, too
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as does that of a terminal which is closed
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    server = _Server(config)
    listener = FairListener(listener.family, listener.type, listener.proto, fileno=listener.detach())
    threading.Thread(target=_answer, args=(server, supervisor), name="supervisor", daemon=True).start()
    server.run([listener])


def _answer(server: _Server, supervisor: Connection) -> None:
    """Answer the supervisor for as long as it is there and wants this worker; then end, as on SIGTERM."""
    seen = 0
    with suppress(EOFError, OSError):
        while True:
            supervisor.recv_bytes()
            before, seen = seen, server.turns
            supervisor.send_bytes(_READY if seen > before else b"")
    signal.raise_signal(signal.SIGTERM)
    time.sleep(_LEAVE_SECONDS)
    os._exit(1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that is started meanwhile hears no Ctrl+C before `_work`: its imports would end in a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # not everywhere
        yield
        return
    resource_tracker.ensure_running()  # its start, which comes with that of the first process, would end the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """A process that serves, joined to this one by a pipe: it ends when this end of the pipe is closed.

    Attributes:
        generation: how often all were replaced before it was started.
        ready_at: monotonic time at which it was seen to serve first, if it has been.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, generation: int) -> None:
        self.generation = generation
        self.ready_at: float | None = None
        self._pipe, its_end = _SPAWN.Pipe()
        self._is_asked = False
        self._process = _SPAWN.Process(target=_work, args=(config, listener, its_end))
        with _without_interrupts():
            self._process.start()
        its_end.close()
        self._kill_at = time.monotonic() + _START_SECONDS

    @property
    def pid(self) -> int | None:
        """The id of its process."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to serve."""
        return self.ready_at is not None

    def look(self) -> bool:
        """Ask how it is, and kill it where its time is over; gives whether it has not ended. Does not wait."""
        if not self._pipe.closed:
            self._ask()
        if not self._process.is_alive():
            return False
        if time.monotonic() > self._kill_at:
            silent = "end" if self._pipe.closed else "answer"
            log.warning("Worker %s does not %s and is killed", self.pid, silent)
            self._process.kill()
            self._kill_at = math.inf
        return True

    def _ask(self) -> None:
        with suppress(EOFError, OSError):  # it has ended
            while self._pipe.poll():
                self._is_asked = False
                if self._pipe.recv_bytes() == _READY:
                    now = time.monotonic()
                    if self.ready_at is None:
                        log.info("Worker %s serves", self.pid)
                        self.ready_at = now
                    self._kill_at = now + _SILENT_SECONDS
            if not self._is_asked:
                self._pipe.send_bytes(b"")
                self._is_asked = True

    def end(self) -> None:
        """Have it end what is under way, and itself."""
        self._pipe.close()
        self._kill_at = time.monotonic() + _LEAVE_SECONDS


class Supervisor:
    """Keeps so many workers on a socket. One that dies is replaced; SIGHUP replaces all, one after the other.

    Args:
        config: of each worker's server.
        listener: the socket that they share.
        count: how many there are.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, count: int) -> None:
        self._config, self._listener, self._count = config, listener, count
        self._workers: list[_Worker] = []
        self._leaving: list[_Worker] = []
        self._generation = 0
        self._next_start = 0.0
        self._did_not_start = False
        self._is_to_end = False
        self._is_to_replace = False

    def obey_signals(self) -> None:
        """From now on; those that come before `run` count, too."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note_end)
        if hasattr(signal, "SIGHUP"):  # not everywhere
            # At a terminal it tells that this was closed; a service has none.
            signal.signal(signal.SIGHUP, self._note_end if os.isatty(0) else self._note_replacement)

    def run(self) -> bool:
        """Until SIGTERM, Ctrl+C or the terminal's end; False where it ends because no worker can start."""
        try:
            while not self._is_to_end:
                self._look()
                # Where one served at last, if for a moment, its successor is waited for.
                if not self._workers and self._did_not_start and not self._is_to_end:
                    log.error("No worker can start")
                    return False
                time.sleep(_LOOK_SECONDS)
            return True
        finally:
            self._end_all()

    def _note_end(self, *_: object) -> None:
        self._is_to_end = True

    def _note_replacement(self, *_: object) -> None:
        self._is_to_replace = True

    def _look(self) -> None:
        if self._is_to_replace:
            self._is_to_replace = False
            self._generation += 1
            log.info("Replacing the workers, one after the other")
        for worker in list(self._workers):
            if not worker.look():
                self._workers.remove(worker)
                self._ended(worker)
        self._leaving = [worker for worker in self._leaving if worker.look()]
        while len(self._workers) < self._count and time.monotonic() >= self._next_start:
            self._start()
        self._replace_next()

    def _ended(self, worker: _Worker) -> None:
        self._did_not_start = worker.ready_at is None
        if worker.ready_at is None:
            log.error("Worker %s did not start; the others stay", worker.pid)
            for other in self._workers:
                other.generation = self._generation
        elif time.monotonic() > worker.ready_at + _PAUSE_SECONDS:
            log.warning("Worker %s died and is replaced", worker.pid)
            return
        else:
            log.warning(
                "Worker %s died and is replaced, after a pause: it had only begun to serve", worker.pid
            )
        self._next_start = time.monotonic() + _PAUSE_SECONDS

    def _start(self) -> None:
        try:
            self._workers.append(_Worker(self._config, self._listener, self._generation))
        except OSError as error:
            log.error("No worker can be started: %s", error.strerror)  # noqa: TRY400 - the system's reason is enough
            self._did_not_start = True
            self._next_start = time.monotonic() + _PAUSE_SECONDS

    def _replace_next(self) -> None:
        """Where old workers are left and all new ones serve: end an old one that has its successor, or start that."""
        old = [worker for worker in self._workers if worker.generation < self._generation]
        new = [worker for worker in self._workers if worker.generation == self._generation]
        if not old or self._leaving or not all(worker.is_ready for worker in new):
            return
        if len(self._workers) > self._count:
            self._end(min(old, key=lambda worker: worker.is_ready))
        elif time.monotonic() >= self._next_start:
            self._start()

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._leaving.append(worker)
        worker.end()

    def _end_all(self) -> None:
        for worker in list(self._workers):
            self._end(worker)
        while self._leaving:
            time.sleep(_LOOK_SECONDS / 10)
            self._leaving = [worker for worker in self._leaving if worker.look()]
