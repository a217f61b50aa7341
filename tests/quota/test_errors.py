"""The closed set of failures, and what each says."""

import pytest

from integrations.quota.errors import ErrorCode, ProviderError, Status

SENTENCES = {
    "not_configured": "IMAI not configured. Please add IMAI_API_KEY to environment variables.",
    "authentication_failed": "Unable to fetch quota. IMAI rejected the API key: check IMAI_API_KEY.",
    "permission_denied": "Unable to fetch quota. The API key may not read the account.",
    "subscription_inactive": "Unable to fetch quota. The IMAI subscription is not active.",
    "quota_exhausted": "Unable to fetch quota. IMAI refuses requests: nothing is left of the quota.",
    "invalid_response": (
        "Unable to fetch quota. IMAI sent an answer that could not be read; the log has the details."
    ),
    "rate_limited": "Unable to fetch quota. IMAI is limiting requests: try again in 2 minutes.",
    "timeout": "Unable to fetch quota. IMAI did not answer in time. Please try again.",
    "network": "Unable to fetch quota. IMAI could not be reached. Please try again.",
    "provider_unavailable": "Unable to fetch quota. Please try again.",
}
PASSING = {"rate_limited", "timeout", "network", "provider_unavailable"}


def test_the_set_is_closed() -> None:
    """The codes are those of the contract; a provider cannot invent one."""
    assert set(ErrorCode) == set(SENTENCES)
    with pytest.raises(ValueError, match="out of order"):
        ProviderError("out of order")  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "sentence"), SENTENCES.items())
def test_each_has_its_sentence(code: str, sentence: str) -> None:
    """Each sentence is, word for word, the one of the contract."""
    assert (
        ErrorCode(code).sentence(label="IMAI", key_variable="IMAI_API_KEY", wait="in 2 minutes") == sentence
    )


def test_a_rate_limit_without_a_time_says_later() -> None:
    """Without a Retry-After the sentence names no time."""
    sentence = ErrorCode.RATE_LIMITED.sentence(label="IMAI", key_variable="IMAI_API_KEY")
    assert sentence == "Unable to fetch quota. IMAI is limiting requests: try again later."


@pytest.mark.parametrize("code", ErrorCode)
def test_a_passing_failure_is_unavailable_and_any_other_an_error(code: ErrorCode) -> None:
    """The status follows from the code."""
    assert code.status is (Status.UNAVAILABLE if code in PASSING else Status.ERROR)


def test_a_failure_is_one_line_for_the_log() -> None:
    """It names what is known and leaves out what is not."""
    failure = ProviderError(
        ErrorCode.RATE_LIMITED,
        "slow down",
        http_status=429,
        vendor_code="rate_limit_exceeded",
        retry_after=120,
    )
    assert str(failure) == (
        "code=rate_limited http_status=429 vendor_code=rate_limit_exceeded retry_after=120s (slow down)"
    )
    assert str(ProviderError(ErrorCode.NETWORK)) == "code=network"
