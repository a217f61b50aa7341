"""The log: one line an event on standard error, whoever writes it, and no flood.

A record may hold what a client sent. So control characters are escaped, which keeps a client from writing lines of its
own, and a record that comes again and again is counted instead of repeated, which keeps one from filling the disk.
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
"""How often a record is written within a minute."""
WINDOW_SECONDS: Final = 60.0
MAX_CHARACTERS: Final = 4000
"""Of a message, and of a traceback's end; what is beyond is cut."""

_BOUNDED_AT_SOURCE: Final = frozenset({"integrations.audit", "integrations.readings.fetch"})
"""Loggers whose records differ in who or what they name, and must not count as one.

Sign-in's throttle bounds the first, and the second writes once for each outage.
"""
_FALSE_ALARMS: Final = (
    "without completing handshake",  # uvicorn, of each websocket refused with a response, as its extension provides
    "missing ScriptRunContext",  # Streamlit, of the page's modules, which are loaded before anybody looks at it
)


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not any(alarm in text for alarm in _FALSE_ALARMS)


def set_up(level: str, style: Format) -> None:
    """Send every logger's records to standard error, in our format; other people's from warnings on.

    Args:
        level: from which on our own records are written.
        style: text for people, json for machines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    handler.addFilter(RepeatFilter(handler.handle))
    handler.addFilter(_is_no_false_alarm)
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other.formatter, FORMATTERS)]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("integrations").setLevel(level)
    for name in ("integrations", "uvicorn", "uvicorn.error"):
        hand_over(logging.getLogger(name))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.NOTSET)  # the root's, whatever was set before
    requests = logging.getLogger("uvicorn.access")  # a line for each request is the proxy's to write
    requests.handlers, requests.propagate, requests.disabled = [], False, True
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_uncaught


def hand_over(logger: logging.Logger) -> None:
    """Have the root logger write a logger's records, instead of handlers of its own."""
    logger.handlers = []
    logger.propagate = True


def escape(text: str) -> str:
    """Text on one line: control characters, line ends and marks that turn the direction of writing are escaped."""
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
    """`2026-11-24T03:10:00.123Z WARNING integrations.audit: …`; a traceback's lines follow, each behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line, and the lines of its traceback."""
        first = f"{_utc(record)} {record.levelname} {record.name}: {escape(_message(record).rstrip())}"
        if not record.exc_info:
            return first
        trace = self.formatException(record.exc_info)[-MAX_CHARACTERS:]
        return "\n".join([first, *(f"  | {escape(line)}" for line in trace.split("\n"))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line, ASCII: time, level, logger, message, and exception where there was one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as an object."""
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
    """How often a record came in its window, which began with the first."""

    record: logging.LogRecord
    since: float
    times: int = 0


class RepeatFilter(logging.Filter):
    """Lets a record through ten times a minute, and after that minute says how often it came in all.

    Two records are the same where one place of the code wrote them with one kind of exception: their texts may hold
    what a client sent, and no two of a flood need be alike.

    Args:
        write: writes the summaries.
        clock: seconds; only differences count.
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
        """Whether to write it."""
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
        """See to it that the summary is written even where no further record comes."""
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
        """Write what was left out in the windows that are over, and forget them."""
        now = self._clock()
        with self._lock:
            ended = [key for key, count in self._counts.items() if now - count.since >= WINDOW_SECONDS]
            counts = [self._counts.pop(key) for key in ended]
        for count in counts:
            if count.times > MAX_REPEATS:
                self._write(_summary(count))


def _identity(record: logging.LogRecord) -> tuple[object, ...]:
    if record.name in _BOUNDED_AT_SOURCE:
        return record.name, record.levelno, record.getMessage()
    exception = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, record.pathname, record.lineno, exception


class _Summary(logging.LogRecord):
    """Tells how many records were left out."""


def _summary(count: _Count) -> _Summary:
    first = count.record
    text = "%d more like this within a minute: %s"
    arguments = (count.times - MAX_REPEATS, _message(first))
    return _Summary(first.name, first.levelno, first.pathname, first.lineno, text, arguments, None)


def _log_uncaught(failed: threading.ExceptHookArgs) -> None:
    """What a thread died of, in our format instead of Python's own."""
    if failed.exc_value is not None and not issubclass(failed.exc_type, SystemExit):
        trace = (failed.exc_type, failed.exc_value, failed.exc_traceback)
        logging.getLogger("integrations").error("A thread failed", exc_info=trace)
