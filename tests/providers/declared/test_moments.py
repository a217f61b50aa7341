"""Renewals of an answer: by their format, or unknown."""

from datetime import UTC, datetime

import pytest

from integrations.providers.declared.definition import RenewalRule
from integrations.providers.declared.figures import Part, UnexpectedAnswerError
from integrations.providers.declared.moments import renewal
from tests.providers.declared.answers import response

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


MOMENTS = [
    ("iso", '"2026-12-01T10:00:00Z"', "2026-12-01T10:00:00+00:00"),
    ("iso", '"2026-12-01T10:00:00+02:00"', "2026-12-01T08:00:00+00:00"),
    ("iso", '"9999-12-31T23:59:59Z"', "9999-12-31T23:59:59+00:00"),
    ("iso", '"2026-09-01T04:57:13.580067"', "2026-09-01T04:57:13.580067+00:00"),
    ("date", '"2026-12-01"', "2026-12-01T00:00:00+00:00"),
    ("epoch", "1780272000", "2026-06-01T00:00:00+00:00"),
    ("epoch_ms", "1780272000500", "2026-06-01T00:00:00.500000+00:00"),
    ("seconds", "90", "2026-11-24T12:01:30+00:00"),
    ("hh:mm:ss", '"26:00:05"', "2026-11-25T14:00:05+00:00"),
]


@pytest.mark.parametrize(("form", "value", "moment"), MOMENTS)
def test_a_moment_is_read_by_its_format(form: str, value: str, moment: str) -> None:
    """In UTC if it names no zone."""
    found = RenewalRule.model_validate({"path": "at", "format": form})
    read = renewal(found, Part(response(f'{{"at": {value}}}')), now=NOW)
    assert read is not None
    assert read.isoformat() == moment


def test_a_moment_may_stand_in_a_header() -> None:
    """As one of a list."""
    found = RenewalRule.model_validate({"header": "X-Reset", "item": 2, "format": "seconds"})
    read = renewal(found, Part(response("", X_Reset="1, 60")), now=NOW)
    assert read == datetime(2026, 11, 24, 12, 1, tzinfo=UTC)


TEXTS = [
    ({"format": "epoch", "text": True}, '"1780272000"', "2026-06-01T00:00:00+00:00"),
    ({"format": "epoch", "text": True}, "1780272000", "2026-06-01T00:00:00+00:00"),
    ({"format": "epoch_ms", "text": True}, '"1780272000500"', "2026-06-01T00:00:00.500000+00:00"),
    ({"format": "seconds", "text": True}, '"90"', "2026-11-24T12:01:30+00:00"),
]


@pytest.mark.parametrize(("fields", "value", "moment"), TEXTS, ids=str)
def test_digits_in_a_text_are_a_moment_if_the_definition_says_so(
    fields: dict[str, object], value: str, moment: str
) -> None:
    """A number stays one."""
    found = RenewalRule.model_validate({"path": "at", **fields})
    read = renewal(found, Part(response(f'{{"at": {value}}}')), now=NOW)
    assert read is not None
    assert read.isoformat() == moment


@pytest.mark.parametrize("value", ["0", "-1", '""', "null", "0.0"])
def test_a_value_may_mean_that_there_is_no_renewal(value: str) -> None:
    """As the definition lists them, whatever the format."""
    found = RenewalRule.model_validate({"path": "at", "format": "epoch", "none": [0, -1, "", None]})
    assert renewal(found, Part(response(f'{{"at": {value}}}')), now=NOW) is None


@pytest.mark.parametrize("now", ["2026-12-31T23:59:59+00:00", "2027-01-01T01:00:00+02:00"])
def test_the_start_of_the_next_month_needs_no_value(now: str) -> None:
    """In UTC, for a definition that asks for this month."""
    found = RenewalRule.model_validate({"format": "next_month"})
    moment = renewal(found, Part(response("no JSON")), now=datetime.fromisoformat(now))
    assert moment == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_zero_in_a_text_or_a_header_may_mean_none() -> None:
    """It is compared as a number if it is read as one."""
    body = RenewalRule.model_validate({"path": "at", "format": "epoch", "text": True, "none": [0]})
    assert renewal(body, Part(response('{"at": "0"}')), now=NOW) is None
    header = RenewalRule.model_validate({"header": "X-Reset", "format": "seconds", "none": [-1]})
    assert renewal(header, Part(response("", X_Reset="-1")), now=NOW) is None


def test_the_first_of_several_moments_is_read() -> None:
    """The second if the first is null."""
    found = RenewalRule.model_validate({"first": ["old", "new"], "format": "date"})
    body = '{"old": null, "new": "2026-12-01"}'
    assert renewal(found, Part(response(body)), now=NOW) == datetime(2026, 12, 1, tzinfo=UTC)


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
    found = RenewalRule.model_validate({"path": "at", "format": form})
    with pytest.raises(UnexpectedAnswerError):
        renewal(found, Part(response(f'{{"at": {value}}}')), now=NOW)


def test_a_moment_that_may_be_missing_is_unknown() -> None:
    """Absent or null; but not of another type."""
    found = RenewalRule.model_validate({"path": "at", "format": "date", "optional": True})
    assert renewal(found, Part(response("{}")), now=NOW) is None
    assert renewal(found, Part(response('{"at": null}')), now=NOW) is None
    with pytest.raises(UnexpectedAnswerError):
        renewal(found, Part(response('{"at": 5}')), now=NOW)
