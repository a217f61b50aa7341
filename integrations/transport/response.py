"""The answer of a provider, read strictly, and the meaning of its HTTP status and headers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from integrations.quota.errors import ErrorCode, ProviderError

MAX_RETRY_AFTER_SECONDS: Final = 15 * 60.0

_LONGEST_FIELD: Final = 40

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Response:
    """A whole answer of a provider. Its repr shows the status alone, so that no body reaches a log."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Response(status={self.status})"

    def json(self) -> object:
        """Return the body as JSON (RFC 8259), numbers with a point as Decimal. Do not change it: it is parsed once.

        Raises:
            ProviderError: `invalid_response`; not UTF-8, not JSON, a key twice, NaN or Infinity, too deep.
        """
        document, problem = self._parsed
        if problem is not None:
            raise self.invalid(problem)
        return document

    @cached_property
    def _parsed(self) -> tuple[object, str | None]:
        """The document, or the reason that there is none."""
        try:
            document: object = json.loads(
                self.body.decode("utf-8"),
                parse_float=Decimal,
                parse_constant=_refuse_constant,
                object_pairs_hook=_unique_keys,
            )
        except (ValueError, ArithmeticError, RecursionError) as error:
            return None, f"not the JSON expected: {type(error).__name__}"
        return document, None

    def parse(self, model: type[Model]) -> Model:
        """Return the body as a model.

        Raises:
            ProviderError: `invalid_response`; the log gets the places and kinds of the defects, not the values.
        """
        try:
            return model.model_validate(self.json())
        except ValidationError as error:
            defects = ", ".join(
                f"{'.'.join(map(_step, defect['loc'])) or 'body'}: {defect['type']}"
                for defect in error.errors(include_url=False, include_context=False, include_input=False)[:3]
            )
            raise self.invalid(defects) from None

    def invalid(self, detail: str) -> ProviderError:
        """Return the failure for an answer that makes no sense."""
        return ProviderError(ErrorCode.INVALID_RESPONSE, detail, http_status=self.status)


def _step(step: int | str) -> str:
    """Return a step to a defect; "?" for a key that the provider may have made up."""
    text = str(step)
    return text if len(text) <= _LONGEST_FIELD and (text.isdecimal() or text.isidentifier()) else "?"


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate key")
    return document


def retry_after_seconds(header: str | None, *, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), 0 to 15 minutes; None if unreadable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def code_for_status(status: int) -> ErrorCode | None:
    """Return the failure that an HTTP status states on its own, or None for a success (2xx)."""
    named = {
        401: ErrorCode.AUTHENTICATION_FAILED,
        402: ErrorCode.SUBSCRIPTION_INACTIVE,
        403: ErrorCode.PERMISSION_DENIED,
        408: ErrorCode.TIMEOUT,
        425: ErrorCode.PROVIDER_UNAVAILABLE,
        429: ErrorCode.RATE_LIMITED,
    }
    if status in named:
        return named[status]
    if 200 <= status < 300:
        return None
    return ErrorCode.PROVIDER_UNAVAILABLE if status >= 500 else ErrorCode.INVALID_RESPONSE
