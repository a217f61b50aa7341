"""The log on standard error: one line for each event of every logger, and no flood.

A record may contain text from a client. Control characters are escaped, so that a client cannot write lines of its own;
repeated records are counted, so that it cannot fill the disk.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Format = Literal["text", "json"]

MAX_REPEATS: Final = 10
"""A record is written at most this often per minute."""
WINDOW_SECONDS: Final = 60.0
MAX_CHARACTERS: Final = 4000
"""The length at which a message is cut; of a longer traceback only the end is written."""

_ALREADY_RATE_LIMITED: Final = frozenset({"integrations.audit", "integrations.readings.fetch"})
"""Loggers of records that name different users or providers, and so are no repeats of each other.

The sign-in throttle limits the first; the second writes once for each outage.
"""
_IGNORED_MESSAGES: Final = (
    "without completing handshake",  # uvicorn, about each websocket that is refused with a response
    "missing ScriptRunContext",  # Streamlit, about the page's modules, which are imported before the first visit
)


def _is_not_ignored(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not any(ignored in text for ignored in _IGNORED_MESSAGES)


def set_up(level: str, style: Format) -> None:
    """Write every logger's records to standard error in our format; those of other packages from warnings on.

    Args:
        level: the lowest level of our own records.
        style: text for people, json for machines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    handler.addFilter(RepeatFilter(handler.handle))
    handler.addFilter(_is_not_ignored)
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other.formatter, FORMATTERS)]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("integrations").setLevel(level)
    for name in ("integrations", "uvicorn", "uvicorn.error"):
        hand_over(logging.getLogger(name))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.NOTSET)  # the root's level
    requests = logging.getLogger("uvicorn.access")  # requests are logged by the proxy
    requests.handlers, requests.propagate, requests.disabled = [], False, True
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_uncaught


def hand_over(logger: logging.Logger) -> None:
    """Let the root logger write a logger's records instead of its own handlers."""
    logger.handlers = []
    logger.propagate = True


def escape(text: str) -> str:
    """Return the text on one line, with control characters, line ends and direction marks escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _utc(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"


class TextFormatter(logging.Formatter):
    """`2026-11-24T03:10:00.123Z WARNING integrations.audit: …`, then the lines of a traceback, each after a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record on one line, and the lines of its traceback."""
        first = f"{_utc(record)} {record.levelname} {record.name}: {escape(_message(record).rstrip())}"
        if not record.exc_info:
            return first
        trace = self.formatException(record.exc_info)[-MAX_CHARACTERS:]
        return "\n".join([first, *(f"  | {escape(line)}" for line in trace.split("\n"))])


class JsonFormatter(logging.Formatter):
    """One JSON object per line, in ASCII: time, level, logger, message, and exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as an object."""
        fields = {
            "time": _utc(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record).rstrip(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)[-MAX_CHARACTERS:]
        return json.dumps(fields)


FORMATTERS: Final = (TextFormatter, JsonFormatter)


@dataclass(slots=True)
class _Count:
    """The number of equal records in a window that began with the first."""

    record: logging.LogRecord
    since: float
    times: int = 0


class RepeatFilter(logging.Filter):
    """Passes a record ten times a minute, and after that minute writes how many more there were.

    Two records are equal if the same line of code wrote them with the same type of exception. Their texts do not count:
    they may contain text from a client, which can make every one different.

    Args:
        write: writes the summaries.
        clock: returns seconds; only differences matter.
    """

    def __init__(
        self, write: Callable[[logging.LogRecord], object], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._write = write
        self._clock = clock
        self._lock = threading.RLock()
        self._counts: dict[tuple[object, ...], _Count] = {}
        self._timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record."""
        if isinstance(record, _Summary):
            return True
        self._summarize_ended()
        with self._lock:
            count = self._counts.setdefault(_identity(record), _Count(record, self._clock()))
            count.times += 1
            if count.times > MAX_REPEATS:
                self._start_timer()
            return count.times <= MAX_REPEATS

    def _start_timer(self) -> None:
        """Write the summary also if no further record follows."""
        if self._timer is None:
            self._timer = threading.Timer(WINDOW_SECONDS, self._on_timer)
            self._timer.daemon = True
            self._timer.start()

    def _on_timer(self) -> None:
        self._summarize_ended()
        with self._lock:
            self._timer = None
            if any(count.times > MAX_REPEATS for count in self._counts.values()):
                self._start_timer()

    def _summarize_ended(self) -> None:
        """Write a summary for each window that has ended, and remove those windows."""
        now = self._clock()
        with self._lock:
            ended = [key for key, count in self._counts.items() if now - count.since >= WINDOW_SECONDS]
            counts = [self._counts.pop(key) for key in ended]
        for count in counts:
            if count.times > MAX_REPEATS:
                self._write(_summary(count))


def _identity(record: logging.LogRecord) -> tuple[object, ...]:
    if record.name in _ALREADY_RATE_LIMITED:
        return record.name, record.levelno, record.getMessage()
    exception = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, record.pathname, record.lineno, exception


class _Summary(logging.LogRecord):
    """A record that counts omitted ones."""


def _summary(count: _Count) -> _Summary:
    first = count.record
    text = "%d more like this within a minute: %s"
    arguments = (count.times - MAX_REPEATS, _message(first))
    return _Summary(first.name, first.levelno, first.pathname, first.lineno, text, arguments, None)


def _log_uncaught(failed: threading.ExceptHookArgs) -> None:
    """Log an exception that ended a thread, in our format instead of Python's."""
    if failed.exc_value is not None and not issubclass(failed.exc_type, SystemExit):
        trace = (failed.exc_type, failed.exc_value, failed.exc_traceback)
        logging.getLogger("integrations").error("A thread failed", exc_info=trace)
