"""The log: one line for each event of every logger, and no flood."""

import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest
import streamlit.logger

from integrations import log
from integrations.web import server
from tests.support.clock import Clock

HOSTILE = "eve\r\n2026-11-24 INFO integrations.audit: sign-in: user='alice'\x1b[2K\x85\u2028\u202e\x00"


class FakeTimer:
    """A timer that the test runs."""

    daemon = False

    def __init__(self, timers: list["FakeTimer"], seconds: float, then: Callable[[], None]) -> None:
        assert seconds == 60
        self.then = then
        timers.append(self)

    def start(self) -> None:
        """Do nothing."""


@pytest.fixture
def streamlit_s_own_log() -> Iterator[None]:
    """Restore the handlers of Streamlit's loggers after the test."""
    own, loggers = streamlit.logger.setup_formatter, dict(streamlit.logger._loggers)
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers.values()]
    yield
    streamlit.logger.setup_formatter = own
    streamlit.logger._loggers = loggers
    for logger, handlers, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines since the last call, without the times."""
    return [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]


def test_our_records_have_their_level_and_others_begin_at_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is written once, though the log is set up twice and the server's logger had another level."""
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
    log.set_up("INFO", "text")
    log.set_up("WARNING", "text")
    for name in ("integrations.audit", "uvicorn.error", "uvicorn.access", "asyncio", "anything"):
        logging.getLogger(name).info("quiet")
        logging.getLogger(name).warning("heard")
    logging.getLogger("uvicorn.error").error("ASGI callable returned without completing handshake.")
    logging.getLogger("streamlit.runtime").warning("Thread 'warm-up': missing ScriptRunContext! …")
    assert lines(capsys) == [
        "WARNING integrations.audit: heard",
        "WARNING uvicorn.error: heard",
        "WARNING asyncio: heard",
        "WARNING anything: heard",
    ]


@pytest.mark.usefixtures("streamlit_s_own_log")
def test_streamlit_s_records_are_written_once_and_in_our_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Its loggers may be made before or after ours are set up."""
    log.set_up("INFO", "text")
    before = streamlit.logger.get_logger("streamlit.made_before")
    server._take_over_streamlit_log()
    before.warning("one\ntwo")
    streamlit.logger.get_logger("streamlit.made_later").warning("one\ntwo")
    assert lines(capsys) == [
        r"WARNING streamlit.made_before: one\ntwo",
        r"WARNING streamlit.made_later: one\ntwo",
    ]


def test_text_from_a_client_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends, terminal controls and direction marks are escaped, in the message and in a traceback."""
    log.set_up("INFO", "text")
    logging.getLogger("integrations").error("failed: %s", HOSTILE, exc_info=RuntimeError(HOSTILE))
    written = capsys.readouterr().err
    first, *trace = written.splitlines()
    assert r"eve\r\n2026" in first
    assert r"user='alice'\x1b[2K\x85\u2028\u202e\x00" in first
    assert all(line.startswith("  | ") for line in trace)
    assert all(character.isprintable() or character == "\n" for character in written)


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the same fields, the time in UTC, and the traceback as one text."""
    log.set_up("INFO", "json")
    logging.getLogger("integrations.audit").info("sign-in: user=%s", HOSTILE)
    logging.getLogger("integrations").error("failed", exc_info=RuntimeError("of the inside"))
    written = capsys.readouterr().err
    assert written.isascii()
    signed_in, failed = map(json.loads, written.splitlines())
    assert list(signed_in) == ["time", "level", "logger", "message"]
    assert signed_in["message"] == f"sign-in: user={HOSTILE}"
    assert signed_in["time"].endswith("Z")
    assert failed["exception"].endswith("RuntimeError: of the inside")


@pytest.mark.usefixtures("far_from_utc")
def test_the_time_is_utc() -> None:
    """The server's time zone does not matter."""
    record = logging.makeLogRecord({"created": 1_800_000_000.5, "msecs": 500.0, "msg": "x"})
    assert log.TextFormatter().format(record).startswith("2027-01-15T08:00:00.500Z ")


def test_half_a_character_is_escaped_too() -> None:
    """A single surrogate cannot be written as UTF-8."""
    assert log.escape("a\ud800") == r"a\ud800"


def test_a_long_message_is_cut() -> None:
    """A line has some thousand characters at most."""
    record = logging.makeLogRecord({"msg": "x" * 100_000})
    assert len(log.TextFormatter().format(record)) < 5000
    assert len(log.JsonFormatter().format(record)) < 5000


def test_an_equal_record_is_written_ten_times_and_then_counted() -> None:
    """The texts of a flood may differ; records of other lines of code are not affected."""
    clock, written = Clock(), list[str]()
    repeats = log.RepeatFilter(lambda record: written.append(record.getMessage()), clock=clock)
    passed = [repeats.filter(record("flood %d", 7, number)) for number in range(50)]
    assert passed == [True] * 10 + [False] * 40
    assert repeats.filter(record("another", 8))
    clock.now = 59.0
    assert not repeats.filter(record("flood %d", 7, 99))
    assert written == []
    clock.now = 60.0
    assert repeats.filter(record("another", 8))
    assert written == ["41 more like this within a minute: flood 0"]
    assert repeats.filter(record("flood %d", 7, 100))


def test_records_about_different_users_or_providers_are_not_equal() -> None:
    """A provider's outage or a user's sign-in must not be hidden by those of others."""
    repeats = log.RepeatFilter(lambda _record: None, clock=Clock())
    for name in ("integrations.audit", "integrations.readings.fetch"):
        assert all(repeats.filter(record("of %d", 7, number, name=name)) for number in range(50))
        passed = [repeats.filter(record("of %d", 7, 1, name=name)) for _ in range(20)]
        assert sum(passed) == 9


def test_the_count_is_written_though_nothing_else_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer writes it when the minute is over."""
    timers: list[FakeTimer] = []
    monkeypatch.setattr(threading, "Timer", lambda *arguments: FakeTimer(timers, *arguments))
    clock, written = Clock(), list[str]()
    repeats = log.RepeatFilter(lambda record: written.append(record.getMessage()), clock=clock)
    for _ in range(13):
        repeats.filter(record("flood", 7))
    assert len(timers) == 1
    assert timers[0].daemon
    clock.now = 60.0
    timers[0].then()
    assert written == ["3 more like this within a minute: flood"]


def test_an_exception_that_ends_a_thread_is_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Python itself would write it to standard error unescaped."""
    log.set_up("INFO", "text")

    def fail() -> None:
        raise RuntimeError("one\ntwo")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert "ERROR integrations: A thread failed" in capsys.readouterr().err


def record(text: str, line: int, *arguments: object, name: str = "anything") -> logging.LogRecord:
    """Return a record of this line of a file."""
    return logging.LogRecord(name, logging.WARNING, "file.py", line, text, arguments, None)
