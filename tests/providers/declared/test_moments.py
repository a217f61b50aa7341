"""Renewals of an answer: by their format, or unknown."""

from datetime import UTC, datetime

import pytest

from integrations.providers.declared.definition import RenewalRule
from integrations.providers.declared.figures import Part, UnexpectedAnswerError
from integrations.providers.declared.moments import renewal
from tests.providers.declared.answers import response

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def read(fields: dict[str, object], body: str, *, now: datetime = NOW, **headers: str) -> datetime | None:
    """Return the renewal in an answer."""
    return renewal(RenewalRule.model_validate(fields), Part(response(body, 200, **headers)), now=now)


MOMENTS = [
    ({"format": "iso"}, '"2026-12-01T10:00:00Z"', "2026-12-01T10:00:00+00:00"),
    ({"format": "iso"}, '"2026-12-01T10:00:00+02:00"', "2026-12-01T08:00:00+00:00"),
    ({"format": "iso"}, '"9999-12-31T23:59:59Z"', "9999-12-31T23:59:59+00:00"),
    ({"format": "iso"}, '"2026-09-01T04:57:13.580067"', "2026-09-01T04:57:13.580067+00:00"),
    ({"format": "date"}, '"2026-12-01"', "2026-12-01T00:00:00+00:00"),
    ({"format": "epoch"}, "1780272000", "2026-06-01T00:00:00+00:00"),
    ({"format": "epoch_ms"}, "1780272000500", "2026-06-01T00:00:00.500000+00:00"),
    ({"format": "seconds"}, "90", "2026-11-24T12:01:30+00:00"),
    ({"format": "hh:mm:ss"}, '"26:00:05"', "2026-11-25T14:00:05+00:00"),
    ({"format": "epoch", "text": True}, '"1780272000"', "2026-06-01T00:00:00+00:00"),
    ({"format": "epoch", "text": True}, "1780272000", "2026-06-01T00:00:00+00:00"),
    ({"format": "epoch_ms", "text": True}, '"1780272000500"', "2026-06-01T00:00:00.500000+00:00"),
    ({"format": "seconds", "text": True}, '"90"', "2026-11-24T12:01:30+00:00"),
]


@pytest.mark.parametrize(("fields", "value", "moment"), MOMENTS, ids=str)
def test_a_moment_is_read_by_its_format(fields: dict[str, object], value: str, moment: str) -> None:
    """In UTC if it names no zone; digits in a text only if the definition says so."""
    read_there = read({"path": "at", **fields}, f'{{"at": {value}}}')
    assert read_there is not None
    assert read_there.isoformat() == moment


def test_a_moment_may_be_in_a_header() -> None:
    """Alone or as one of a list."""
    fields: dict[str, object] = {"header": "X-Reset", "item": 2, "format": "seconds"}
    assert read(fields, "", X_Reset="1, 60") == datetime(2026, 11, 24, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["0", "-1", '""', "null", "0.0"])
def test_a_value_may_mean_that_there_is_no_renewal(value: str) -> None:
    """The definition lists these values, for any format."""
    fields: dict[str, object] = {"path": "at", "format": "epoch", "none": [0, -1, "", None]}
    assert read(fields, f'{{"at": {value}}}') is None


def test_a_zero_in_a_text_or_a_header_may_mean_none() -> None:
    """It is compared as a number if it is read as one."""
    assert read({"path": "at", "format": "epoch", "text": True, "none": [0]}, '{"at": "0"}') is None
    assert read({"header": "X-Reset", "format": "seconds", "none": [-1]}, "", X_Reset="-1") is None


@pytest.mark.parametrize("now", ["2026-12-31T23:59:59+00:00", "2027-01-01T01:00:00+02:00"])
def test_the_start_of_the_next_month_needs_no_value(now: str) -> None:
    """The month is that of UTC."""
    moment = read({"format": "next_month"}, "no JSON", now=datetime.fromisoformat(now))
    assert moment == datetime(2027, 1, 1, tzinfo=UTC)


def test_the_first_of_several_moments_is_read() -> None:
    """The second if the first is null."""
    body = '{"old": null, "new": "2026-12-01"}'
    assert read({"first": ["old", "new"], "format": "date"}, body) == datetime(2026, 12, 1, tzinfo=UTC)


WRONG_MOMENTS = [
    ("iso", '"soon"'),
    ("iso", '"9999-12-31T23:59:59-05:00"'),
    ("iso", '"0001-01-01T00:00:00+05:00"'),
    ("iso", '"0001-01-01T00:00:00Z"'),
    ("iso", '"2000-01-01T00:00:00+00:01"'),
    ("iso", "1780272000"),
    ("date", '"2026-13-01"'),
    ("epoch", '"1780272000"'),
    ("epoch", "true"),
    ("epoch", "0"),
    ("epoch", "1780272000000"),
    ("epoch_ms", "1e30"),
    ("seconds", "-1"),
    ("seconds", "1e12"),
    ("hh:mm:ss", '"7:61:00"'),
    ("hh:mm:ss", "7"),
    ("iso", "null"),
    ("epoch", "1e99999999999"),
    ("seconds", "-1e99999999999"),
]


@pytest.mark.parametrize(("form", "value"), WRONG_MOMENTS)
def test_any_other_value_is_an_unexpected_answer(form: str, value: str) -> None:
    """A zero is not a renewal in 1970, and milliseconds are not taken for seconds."""
    with pytest.raises(UnexpectedAnswerError):
        read({"path": "at", "format": form}, f'{{"at": {value}}}')


def test_a_moment_that_may_be_missing_is_unknown() -> None:
    """Absent or null; but not of another type."""
    fields: dict[str, object] = {"path": "at", "format": "date", "optional": True}
    assert read(fields, "{}") is None
    assert read(fields, '{"at": null}') is None
    with pytest.raises(UnexpectedAnswerError):
        read(fields, '{"at": 5}')
