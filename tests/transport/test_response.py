"""Answers of providers are read strictly."""

import json
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
    """Return the JSON of an answer."""
    return Response(200, {}, body).json()


def test_numbers_are_exact() -> None:
    """A number with a decimal point becomes the same Decimal."""
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
def test_only_strict_json_is_read(body: bytes) -> None:
    """A body that two readers could read differently is an invalid response."""
    with pytest.raises(ProviderError) as caught:
        document(body)
    assert caught.value.code is ErrorCode.INVALID_RESPONSE


@pytest.mark.parametrize("body", [b'{"a": 1}', b"<html>"])
def test_an_answer_is_parsed_once(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many figures are read; each read of an unreadable answer raises a new error with the same words."""
    parsed: list[object] = []

    def loads(text: str, **options: Any) -> object:
        parsed.append(text)
        return json.JSONDecoder(**options).decode(text)

    monkeypatch.setattr(json, "loads", loads)
    answer = Response(200, {}, body)
    errors = []
    for _ in range(2):
        try:
            assert answer.json() == {"a": 1}
        except ProviderError as error:
            errors.append(error)
    assert len(parsed) == 1
    assert len(set(errors)) == (2 if body == b"<html>" else 0)
    words = "code=invalid_response http_status=200 (not the JSON expected: JSONDecodeError)"
    assert {str(error) for error in errors} <= {words}


@given(st.binary(max_size=200))
def test_no_body_causes_a_crash(body: bytes) -> None:
    """Any bytes are either JSON or `invalid_response`."""
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
def test_a_defect_is_named_without_the_value(body: str, defects: str) -> None:
    """The log has at most three places, each with the kind of the defect."""

    class Left(BaseModel):
        left: int
        parts: list[int] = []

    with pytest.raises(ProviderError) as caught:
        Response(200, {}, body.encode()).parse(Left)
    assert str(caught.value) == f"code=invalid_response http_status=200 ({defects})"


@pytest.mark.parametrize("key", ["a b", "a\\n2026-11-23 WARNING all is well", "x" * 41])
def test_a_key_of_the_provider_is_not_logged(key: str) -> None:
    """It is written as `?`, so that it cannot write into the log."""

    class Lefts(BaseModel):
        lefts: dict[str, int]

    with pytest.raises(ProviderError) as caught:
        Response(200, {}, f'{{"lefts": {{"{key}": null}}}}'.encode()).parse(Lefts)
    assert str(caught.value) == "code=invalid_response http_status=200 (lefts.?: int_type)"


def test_an_answer_shows_its_status_alone() -> None:
    """The repr has neither body nor headers."""
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
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    """Seconds and HTTP dates are read, up to 15 minutes ahead; anything else counts as absent."""
    assert retry_after_seconds(header, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_causes_a_crash(header: str) -> None:
    """The result is unknown, or between 0 and 15 minutes."""
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


def test_every_status_but_success_is_a_failure() -> None:
    """Only 2xx is a success, and a redirect is a failure."""
    for status in range(100, 1000):
        kinds = [kind for kind, statuses in KINDS.items() if status in statuses]
        assert [code_for_status(status)] == (kinds or [ErrorCode.INVALID_RESPONSE])
