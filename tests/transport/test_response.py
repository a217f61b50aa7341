"""What an answer says, read strictly."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from integrations.quota.errors import ErrorCode, ProviderError
from integrations.transport.response import (
    MAX_RETRY_AFTER_SECONDS,
    Response,
    code_for_status,
    retry_after_seconds,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "test-key-in-a-body"


def document(body: bytes) -> object:
    """The JSON of an answer."""
    return Response(200, {}, body).json()


def refused(body: bytes) -> ProviderError:
    """The failure of an answer that is no JSON."""
    with pytest.raises(ProviderError) as caught:
        document(body)
    return caught.value


def test_numbers_are_exact() -> None:
    """A number with a decimal point is read as the Decimal that was sent."""
    assert document(b'{"a": 7499.98, "b": 7500}') == {"a": Decimal("7499.98"), "b": 7500}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 1}',
        b'[{"b": {"a": 1, "a": 2}}]',
        b'{"a": 1} {"a": 2}',
        b'{"a": 1e99999999999999999999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        "\ufeff{}".encode(),
        '{"ä": 1}'.encode("latin-1"),
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    """A body that two readers could read differently is an invalid response."""
    assert refused(body).code is ErrorCode.INVALID_RESPONSE


@pytest.mark.parametrize("body", [b'{"a": 1}', b"<html>"])
def test_an_answer_is_parsed_once(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many figures are read in it, also if it is no JSON."""
    parsed: list[object] = []

    def loads(text: str, **options: Any) -> object:
        parsed.append(text)
        return json.JSONDecoder(**options).decode(text)

    monkeypatch.setattr(json, "loads", loads)
    answer = Response(200, {}, body)
    for _ in range(3):
        with suppress(ProviderError):
            answer.json()
    assert len(parsed) == 1


def test_an_unreadable_answer_raises_the_same_error_each_time() -> None:
    """A new one, with the same words."""
    answer = Response(200, {}, b"<html>")
    errors = []
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            answer.json()
        errors.append(caught.value)
    first, second = errors
    assert first is not second
    assert (
        str(first)
        == str(second)
        == "code=invalid_response http_status=200 (not the JSON expected: JSONDecodeError)"
    )


@given(st.binary(max_size=200))
def test_no_body_is_more_than_unreadable(body: bytes) -> None:
    """Any bytes at all are either JSON or `invalid_response`."""
    try:
        document(body)
    except ProviderError as error:
        assert error.code is ErrorCode.INVALID_RESPONSE  # noqa: PT017 - either end is right


@pytest.mark.parametrize(
    ("body", "defects"),
    [
        (f'{{"left": "{SECRET}"}}', "left: int_parsing"),
        (f'"{SECRET}"', "body: model_type"),
        (f'{{"left": 1, "parts": [1, "{SECRET}"]}}', "parts.1: int_parsing"),
        (
            f'{{"left": 1, "parts": ["{SECRET}", 1, [], {{}}, null]}}',
            "parts.0: int_parsing, parts.2: int_type, parts.3: int_type",
        ),
    ],
)
def test_a_defect_is_told_by_its_place_and_kind_without_the_value(body: str, defects: str) -> None:
    """The log names the field, the index or the body as a whole, at most three; never what was found there."""

    class Left(BaseModel):
        left: int
        parts: list[int] = []

    with pytest.raises(ProviderError) as caught:
        Response(200, {}, body.encode()).parse(Left)
    assert str(caught.value) == f"code=invalid_response http_status=200 ({defects})"


@pytest.mark.parametrize("key", ["a b", "a\\n2026-11-23 WARNING all is well", "x" * 41])
def test_a_key_that_is_no_fields_name_is_not_told(key: str) -> None:
    """A key that the provider made up is shown as `?`, so that it cannot write into the log."""

    class Lefts(BaseModel):
        lefts: dict[str, int]

    with pytest.raises(ProviderError) as caught:
        Response(200, {}, f'{{"lefts": {{"{key}": null}}}}'.encode()).parse(Lefts)
    assert str(caught.value) == "code=invalid_response http_status=200 (lefts.?: int_type)"


def test_an_answer_shows_its_status_alone() -> None:
    """The repr of an answer has neither its body nor its headers."""
    assert repr(Response(200, {"X-Key": SECRET}, SECRET.encode())) == "Response(status=200)"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 7 ", 7),
        ("00000000000000000007", 7),
        ("9" * 60_000, MAX_RETRY_AFTER_SECONDS),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Mon, 23 Nov 2026 12:01:30", 90),
        ("Mon, 23 Nov 2026 13:01:30 +0100", 90),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), MAX_RETRY_AFTER_SECONDS),
        ("Mon, 99999999999999999999 Nov 2026 00:00:00 GMT", None),
        ("Mon, 23 Nov 2026 00:00:00 +99999999999999999999", None),
        ("Mon, 23 Nov 2026 00:00:00 +9999", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("1, 120", None),
        ("", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str | None, seconds: float | None) -> None:
    """Seconds and HTTP dates are read, up to 15 minutes ahead; anything else counts as absent."""
    assert retry_after_seconds(header, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_is_negative_or_too_long_or_a_crash(header: str) -> None:
    """Whatever the header holds, the result is unknown or between 0 and 15 minutes."""
    seconds = retry_after_seconds(header, now=NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


KINDS = {
    ErrorCode.AUTHENTICATION_FAILED: {401},
    ErrorCode.SUBSCRIPTION_INACTIVE: {402},
    ErrorCode.PERMISSION_DENIED: {403},
    ErrorCode.TIMEOUT: {408},
    ErrorCode.RATE_LIMITED: {429},
    ErrorCode.PROVIDER_UNAVAILABLE: {425, *range(500, 1000)},
    None: {*range(200, 300)},
}


def test_every_status_but_success_is_a_failure_of_some_kind() -> None:
    """Only 2xx is a success, a redirect is none, and what the server blames on itself may pass."""
    for status in range(100, 1000):
        kinds = [kind for kind, statuses in KINDS.items() if status in statuses]
        assert [code_for_status(status)] == (kinds or [ErrorCode.INVALID_RESPONSE])
