"""Runs a function in a daemon thread."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def in_thread(work: Callable[[], Result], *, name: str) -> Future[Result]:
    """Start the thread. The future gives what the function returns, or raises what it raised."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, even a SystemExit
            future.set_exception(
                error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            )

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
