"""What an outage does to the log and to those who come meanwhile."""

import logging
from typing import Final, get_args

import pytest

from integrations.state import StateError
from integrations.state.outage import Doing, Outages
from tests.support.races import races


class Engine:
    """Fails when told to; each call takes as long as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, apart: frozenset[Doing] = frozenset()) -> None:
        self.now = 1000.0
        self.calls = 0
        self.error: Exception | None = None
        self.seconds = 0.0
        self._outages = Outages((OSError,), lambda error: StateError(f"the place: {error}"), apart=apart)
        monkeypatch.setattr("integrations.state.outage.time.monotonic", lambda: self.now)

    def call(self, doing: Doing = "reading") -> None:
        """One call."""
        with self._outages.watch(doing):
            self.calls += 1
            self.now += self.seconds
            if self.error is not None:
                raise self.error

    def fails(self, doing: Doing = "reading") -> str:
        """One call that fails; its text."""
        with pytest.raises(StateError) as caught:
            self.call(doing)
        assert caught.value.__cause__ is None
        return str(caught.value)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that works."""
    return Engine(monkeypatch)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """What the log says."""
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Once each, however many calls fail."""
    engine.call()
    engine.error = OSError("down")
    assert [engine.fails() for _ in range(3)] == ["the place: down"] * 3
    engine.error = None
    engine.call()
    engine.call()
    engine.error = OSError("down again")
    engine.fails()
    assert lines(caplog) == [
        (logging.ERROR, "State: reading fails: the place: down"),
        (logging.WARNING, "State: reading works again"),
        (logging.ERROR, "State: reading fails: the place: down again"),
    ]


def test_reading_and_writing_have_outages_of_their_own(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk reading works: that is not the end of the outage, nor the beginning of another."""
    for _ in range(3):
        engine.error = OSError("full")
        engine.fails("writing")
        engine.error = None
        engine.call("reading")
    assert lines(caplog) == [(logging.ERROR, "State: writing fails: the place: full")]


NOT_YET: Final = "did not answer a moment ago; not tried again yet"


@pytest.mark.parametrize("doing", get_args(Doing))
def test_what_hangs_is_waited_for_once(engine: Engine, doing: Doing) -> None:
    """After a slow error every call fails at once for a second, of whatever kind; then one tries again."""
    engine.error, engine.seconds = OSError("time-out"), 0.5
    engine.fails(doing)
    engine.seconds = 0.0
    assert {engine.fails(other) for other in get_args(Doing)} == {NOT_YET}
    assert engine.calls == 1
    engine.now += 1.0
    engine.error = None
    engine.call()
    assert engine.calls == 2


@pytest.mark.parametrize(
    ("slow", "goes_on"),
    [("writing", ["reading", "locking"]), ("removing", ["reading", "locking"]), ("reading", [])],
)
def test_what_is_apart_goes_on_unless_it_hangs_itself(
    monkeypatch: pytest.MonkeyPatch, slow: Doing, goes_on: list[Doing]
) -> None:
    """A file can be read while somebody else keeps it from being written."""
    engine = Engine(monkeypatch, apart=frozenset({"reading", "locking"}))
    engine.error, engine.seconds = OSError("time-out"), 2.0
    engine.fails(slow)
    engine.seconds = 0.0
    assert [doing for doing in get_args(Doing) if engine.fails(doing) != NOT_YET] == goes_on


def test_a_quick_error_makes_nobody_wait(engine: Engine) -> None:
    """What is refused at once may be tried at once: it may be over."""
    engine.error, engine.seconds = OSError("refused"), 0.1
    engine.fails()
    engine.error = None
    engine.call()


def test_a_slow_success_makes_nobody_wait(engine: Engine) -> None:
    """Under load every call is slow, and none of them fails."""
    engine.seconds = 2.0
    engine.call()
    engine.call("writing")


def test_other_errors_pass(engine: Engine) -> None:
    """A mistake in the program is none of the state's."""
    engine.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        engine.call()


def test_an_end_is_logged_once_whoever_comes_between(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At whatever line of the first call that works another one works, too."""
    for race in races("integrations.state.outage"):
        engine = Engine(monkeypatch)
        engine.error = OSError("down")
        engine.fails()
        engine.error = None
        caplog.clear()
        race(engine.call, engine.call)
        assert lines(caplog) == [(logging.WARNING, "State: reading works again")]
