"""Runs a function in a daemon thread."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def in_thread(work: Callable[[], Result], *, name: str) -> Future[Result]:
    """Start the thread; the future returns or raises what the function does."""
    future: Future[Result] = Future()

    def run() -> None:
        future.set_running_or_notify_cancel()  # from now on it cannot be cancelled
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, even a SystemExit
            future.set_exception(
                error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            )

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
