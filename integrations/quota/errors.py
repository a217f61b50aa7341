"""The closed set of ways in which a reading can fail. Every vendor's failure becomes one of these."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """How the last fetch of a provider ended."""

    ACTIVE = "active"
    UNAVAILABLE = "unavailable"
    """It failed for a temporary cause: network, timeout, 5xx, rate limit."""
    ERROR = "error"
    """It failed for a cause that a person must fix."""


class ErrorCode(StrEnum):
    """What went wrong, in words that hold for every provider."""

    NOT_CONFIGURED = "not_configured"
    AUTHENTICATION_FAILED = "authentication_failed"
    PERMISSION_DENIED = "permission_denied"
    SUBSCRIPTION_INACTIVE = "subscription_inactive"
    QUOTA_EXHAUSTED = "quota_exhausted"
    """The provider refuses because nothing is left. It states no figure, so none is shown."""
    INVALID_RESPONSE = "invalid_response"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    NETWORK = "network"
    PROVIDER_UNAVAILABLE = "provider_unavailable"

    @property
    def status(self) -> Status:
        """`unavailable` for a temporary cause, `error` if a person must fix it."""
        return Status.UNAVAILABLE if self in _PASSING else Status.ERROR

    def sentence(self, *, label: str, key_variable: str, wait: str | None = None) -> str:
        """Return the sentence for people; it has nothing of the provider's answer.

        Args:
            label: the provider's name for people.
            key_variable: the environment variable that holds the provider's key.
            wait: a relative time such as "in 2 minutes", if the provider named one.
        """
        return _SENTENCES[self].format(label=label, key=key_variable, wait=wait or "later")


_PASSING: Final = frozenset(
    {ErrorCode.RATE_LIMITED, ErrorCode.TIMEOUT, ErrorCode.NETWORK, ErrorCode.PROVIDER_UNAVAILABLE}
)

_SENTENCES: Final = {
    ErrorCode.NOT_CONFIGURED: "{label} not configured. Please add {key} to environment variables.",
    ErrorCode.AUTHENTICATION_FAILED: "Unable to fetch quota. {label} rejected the API key: check {key}.",
    ErrorCode.PERMISSION_DENIED: "Unable to fetch quota. The API key may not read the account.",
    ErrorCode.SUBSCRIPTION_INACTIVE: "Unable to fetch quota. The {label} subscription is not active.",
    ErrorCode.QUOTA_EXHAUSTED: "Unable to fetch quota. {label} refuses requests: nothing is left of the quota.",
    ErrorCode.INVALID_RESPONSE: (
        "Unable to fetch quota. {label} sent an answer that could not be read; the log has the details."
    ),
    ErrorCode.RATE_LIMITED: "Unable to fetch quota. {label} is limiting requests: try again {wait}.",
    ErrorCode.TIMEOUT: "Unable to fetch quota. {label} did not answer in time. Please try again.",
    ErrorCode.NETWORK: "Unable to fetch quota. {label} could not be reached. Please try again.",
    ErrorCode.PROVIDER_UNAVAILABLE: "Unable to fetch quota. Please try again.",
}


class ProviderError(Exception):
    """A reading failed. The text is for the log: never a body, never a header, never the key.

    Attributes:
        code: which of the closed set.
        http_status: the status of the answer, or None if there was none.
        vendor_code: the provider's own code for it, or None.
        retry_after: seconds after which the provider may be called again, or None.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        http_status: int | None = None,
        vendor_code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = ErrorCode(code)
        self.http_status = http_status
        self.vendor_code = vendor_code
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return the failure as one line for the log."""
        parts = [f"code={self.code}"]
        if self.http_status is not None:
            parts.append(f"http_status={self.http_status}")
        if self.vendor_code is not None:
            parts.append(f"vendor_code={self.vendor_code}")
        if self.retry_after is not None:
            parts.append(f"retry_after={self.retry_after:.0f}s")
        if self.args[0]:
            parts.append(f"({self.args[0]})")
        return " ".join(parts)


class SettingsError(Exception):
    """Settings are wrong. Its text is one line for each wrong variable: name, problem, fix; never a secret."""
