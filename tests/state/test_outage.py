"""What an outage does to the log and to the calls that follow."""

from typing import Final, get_args

import pytest

from integrations.state import StateError
from integrations.state.outage import Operation, Outages
from tests.support.races import races

NOT_YET: Final = "did not answer a moment ago; not tried again yet"


class Engine:
    """Raises `error`, if it is set; each call takes `seconds`."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, independent: frozenset[Operation] = frozenset()
    ) -> None:
        self.now = 1000.0
        self.calls = 0
        self.error: Exception | None = None
        self.seconds = 0.0
        self._outages = Outages(
            (OSError,), lambda error: StateError(f"the place: {error}"), independent=independent
        )
        monkeypatch.setattr("integrations.state.outage.time.monotonic", lambda: self.now)

    def call(self, operation: Operation = "reading", *, worked: bool = True) -> None:
        """Make one call."""
        with self._outages.watch(operation) as call:
            self.calls += 1
            self.now += self.seconds
            if self.error is not None:
                raise self.error
            call.worked = worked

    def fails(self, operation: Operation = "reading") -> str:
        """Make one call that fails; return its error."""
        with pytest.raises(StateError) as caught:
            self.call(operation)
        return str(caught.value)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that works."""
    return Engine(monkeypatch)


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
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "State: reading fails: the place: down"),
        ("WARNING", "State: reading works again"),
        ("ERROR", "State: reading fails: the place: down again"),
    ]


def test_an_outage_ends_only_after_its_operation_worked(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk reading works, and so does a write that changes nothing: neither ends the outage of writing."""
    engine.error = OSError("full")
    engine.fails("writing")
    engine.error = None
    engine.call("reading")
    engine.call("writing", worked=False)
    assert caplog.messages == ["State: writing fails: the place: full"]
    engine.call("writing")
    assert caplog.messages[1:] == ["State: writing works again"]


@pytest.mark.parametrize("operation", get_args(Operation))
def test_only_the_first_call_waits_for_an_engine_that_hangs(engine: Engine, operation: Operation) -> None:
    """After a slow error every call fails at once for a second, whatever its kind; then one tries again."""
    engine.error, engine.seconds = OSError("time-out"), 0.5
    engine.fails(operation)
    engine.seconds = 0.0
    assert {engine.fails(other) for other in get_args(Operation)} == {NOT_YET}
    assert engine.calls == 1
    engine.now += 1.0
    engine.error = None
    engine.call()
    assert engine.calls == 2


@pytest.mark.parametrize(
    ("slow", "continuing"),
    [("writing", ["reading", "locking"]), ("removing", ["reading", "locking"]), ("reading", [])],
)
def test_independent_operations_continue_unless_they_hang_themselves(
    monkeypatch: pytest.MonkeyPatch, slow: Operation, continuing: list[Operation]
) -> None:
    """A file can be read while another program keeps it from being written."""
    engine = Engine(monkeypatch, independent=frozenset({"reading", "locking"}))
    engine.error, engine.seconds = OSError("time-out"), 2.0
    engine.fails(slow)
    engine.seconds = 0.0
    assert [other for other in get_args(Operation) if engine.fails(other) != NOT_YET] == continuing


def test_a_quick_error_or_a_slow_success_pauses_nothing(engine: Engine) -> None:
    """A refusal may be over at once, and under load every call is slow."""
    engine.error, engine.seconds = OSError("refused"), 0.1
    engine.fails()
    engine.error, engine.seconds = None, 2.0
    engine.call()
    engine.call("writing")


def test_other_errors_pass(engine: Engine) -> None:
    """A mistake in the program is no outage."""
    engine.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        engine.call()


def test_concurrent_calls_log_one_end(
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
        assert caplog.messages == ["State: reading works again"]
