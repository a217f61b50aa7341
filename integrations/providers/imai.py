"""IMAI (influencer marketing): the credits that are left.

Reference: IMAI's published API reference (base URL https://imai.co/api), `GET /account/info/`. It costs no credits.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field
from pydantic_settings import SettingsConfigDict

from integrations.providers.base import Amount, Payload, Provider
from integrations.providers.renewal import month_before, next_renewal, time_of_day
from integrations.quota.errors import ErrorCode
from integrations.quota.models import Quota
from integrations.settings import BaseUrl, ProviderSettings

if TYPE_CHECKING:
    from integrations.transport.client import Client


def _plain_number(text: object) -> object:
    """Refuse a number that means different amounts in different countries."""
    if isinstance(text, str) and re.fullmatch(r"\d{1,3}(\.\d{3})+", text.strip()):
        digits = text.strip().replace(".", "")
        raise ValueError(f"{text.strip()} is unclear: write {digits}, or fewer decimals")
    if isinstance(text, str) and "," in text:
        raise ValueError("write it without commas, with a point before decimals")
    return text


class ImaiSettings(ProviderSettings):
    """The terms of the contract, which IMAI's API does not state: allowance, day and time of renewal."""

    model_config = SettingsConfigDict(env_prefix="IMAI_")

    api_base_url: BaseUrl = Field(
        default="https://imai.co/api", description="the base URL of IMAI's API, https (http only on loopback)"
    )
    total_credits: Annotated[Decimal | None, BeforeValidator(_plain_number)] = Field(
        default=None, gt=0, le=10**12, description="the plan's allowance in credits, a positive number"
    )
    renewal_day: int | None = Field(
        default=None, ge=1, le=31, description="day of the month when credits reload, 1 to 31 (the last day)"
    )
    renewal_time: Annotated[time, BeforeValidator(time_of_day)] = Field(
        default=time(0, 0), description="time of the reload in UTC, as HH:MM"
    )


class _Account(Payload):
    success: bool  # always true: `vendor_code` handles false
    credits: Amount


class Imai(Provider[ImaiSettings]):
    """IMAI's credits: the API states the remainder, the operator the total."""

    label = "IMAI"
    icon = ":material/groups:"
    unit = "credits"
    settings_class = ImaiSettings
    total_setting = "total_credits"
    codes: ClassVar[Mapping[str, ErrorCode]] = {
        "bad_request": ErrorCode.INVALID_RESPONSE,
        "bad_filter": ErrorCode.INVALID_RESPONSE,
        "entity_not_found": ErrorCode.INVALID_RESPONSE,
        "not_found": ErrorCode.INVALID_RESPONSE,
        "method_not_allowed": ErrorCode.INVALID_RESPONSE,
        "not_authenticated": ErrorCode.AUTHENTICATION_FAILED,
        "invalid_api_key": ErrorCode.AUTHENTICATION_FAILED,
        "token_is_disabled": ErrorCode.AUTHENTICATION_FAILED,
        "permission_denied": ErrorCode.PERMISSION_DENIED,
        "tokens_expired": ErrorCode.SUBSCRIPTION_INACTIVE,
        "subscription_expired": ErrorCode.SUBSCRIPTION_INACTIVE,
        "subscription_required": ErrorCode.SUBSCRIPTION_INACTIVE,
        "rate_limit_exceeded": ErrorCode.RATE_LIMITED,
        "daily_tokens_limit_exceeded": ErrorCode.RATE_LIMITED,
        "retry_later": ErrorCode.PROVIDER_UNAVAILABLE,
        "no_tokens_remaining": ErrorCode.QUOTA_EXHAUSTED,
        "no_quota_remaining": ErrorCode.QUOTA_EXHAUSTED,
        "internal_server_error": ErrorCode.PROVIDER_UNAVAILABLE,
    }

    def fetch(self, http: "Client") -> Quota:
        """Fetch the account: `{"success": true, "credits": 7500}`; `credits` is the remainder."""
        settings = self.settings
        answer = http.get(
            f"{settings.api_base_url}/account/info/",
            headers={"authkey": self.key, "Accept": "application/json"},
        )
        account = answer.parse(_Account)
        quota = Quota(remaining=account.credits, total=settings.total_credits)
        if settings.renewal_day is None:
            return quota
        renews_at = next_renewal(datetime.now(UTC), settings.renewal_day, settings.renewal_time)
        return replace(quota, starts_at=month_before(renews_at, settings.renewal_day), renews_at=renews_at)

    def vendor_code(self, document: Mapping[str, Any]) -> str | None:
        """Return the code of `{"success": false, "error": "<code>", …}`, with any HTTP status."""
        return str(document.get("error")) if document.get("success") is False else None
