"""What a provider inherits: figures read strictly, the key, the failure that an answer states."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic_settings import SettingsConfigDict

from integrations.providers.base import Amount, Payload, Provider
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import Quota
from integrations.settings import ProviderSettings
from integrations.transport.client import Client
from integrations.transport.response import Response


class _Settings(ProviderSettings):
    model_config = SettingsConfigDict(env_prefix="SOME_")


class _Balance(Payload):
    left: Amount


class Some(Provider[_Settings]):
    """Its errors are `{"problem": <code>}`."""

    label = "Some"
    settings_class = _Settings
    codes: ClassVar[Mapping[str, ErrorCode]] = {"unpaid": ErrorCode.SUBSCRIPTION_INACTIVE}
    status_codes: ClassVar[Mapping[int, ErrorCode]] = {456: ErrorCode.QUOTA_EXHAUSTED}

    def fetch(self, http: Client) -> Quota:
        """Nothing is fetched here."""
        raise NotImplementedError

    def vendor_code(self, document: Mapping[str, Any]) -> str | None:
        """The code, of whatever type."""
        return document.get("problem")


@pytest.mark.parametrize("sent", ["0", "-0.5", "7499.98", "9.094947017729282e-13", "1e12", "-1000000000000"])
def test_an_amount_is_the_number_that_was_sent(sent: str) -> None:
    """To the last decimal, up to ±10¹²."""
    answer = Response(200, {}, f'{{"left": {sent}}}'.encode())
    assert answer.parse(_Balance).left == Decimal(sent)


NO_AMOUNTS = ["null", "true", '"7"', "[7]", "{}", "1e400", "1000000000000.01", "-1e13", "1e-400", "1e-999999"]
NO_AMOUNTS += ["7." + "1" * 60]
OTHER_SHAPES = ["[]", "null", "7", '"left"', '{"Left": 7}']


@pytest.mark.parametrize("body", [*(f'{{"left": {sent}}}' for sent in NO_AMOUNTS), *OTHER_SHAPES])
def test_another_value_or_shape_is_no_amount(body: str) -> None:
    """Neither another type, nor a number beyond any account or card, nor a field in another place."""
    with pytest.raises(ProviderError) as caught:
        Response(200, {}, body.encode()).parse(_Balance)
    assert caught.value.code is ErrorCode.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("status", "problem", "code", "logged"),
    [
        (200, '"unpaid"', ErrorCode.SUBSCRIPTION_INACTIVE, "unpaid"),
        (403, '"unpaid"', ErrorCode.SUBSCRIPTION_INACTIVE, "unpaid"),
        (403, '"new"', ErrorCode.PERMISSION_DENIED, "unknown"),
        (503, '"new"', ErrorCode.PROVIDER_UNAVAILABLE, "unknown"),
        (200, '"new"', ErrorCode.INVALID_RESPONSE, "unknown"),
        (401, "[1]", ErrorCode.AUTHENTICATION_FAILED, "unknown"),
        (503, "{}", ErrorCode.PROVIDER_UNAVAILABLE, "unknown"),
        (200, "0", ErrorCode.INVALID_RESPONSE, "unknown"),
        (456, '"new"', ErrorCode.QUOTA_EXHAUSTED, "unknown"),
        (456, '"unpaid"', ErrorCode.SUBSCRIPTION_INACTIVE, "unpaid"),
    ],
)
def test_the_providers_own_code_has_priority_over_the_status(
    status: int, problem: str, code: ErrorCode, logged: str
) -> None:
    """An unknown code, of any type, is classified by the status and not logged."""
    failure = Some().failure_in(Response(status, {}, f'{{"problem": {problem}}}'.encode()))
    assert failure is not None
    assert (failure.code, failure.http_status, failure.vendor_code) == (code, status, logged)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"problem": null}'])
def test_an_answer_without_a_code_states_no_failure(body: bytes) -> None:
    """The status alone counts."""
    assert Some().failure_in(Response(503, {}, body)) is None


def test_a_provider_may_map_a_bare_status() -> None:
    """`status_codes` maps a status if the answer states no code."""
    failure = Some().failure_in(Response(456, {}, b"<html>"))
    assert failure is not None
    assert (failure.code, failure.http_status) == (ErrorCode.QUOTA_EXHAUSTED, 456)


def test_a_missing_key_is_reloaded_from_the_file_once(tmp_path: Path) -> None:
    """It is then another account with other readings; a wrong file or a later key changes nothing."""
    provider = Some()
    before = provider.identity
    file = tmp_path / ".env"
    file.write_text("SOME_API_KEY=a key", encoding="utf-8")
    provider.reload_missing_keys()
    assert (provider.settings.api_key, provider.identity) == (None, before)
    for key in ("first", "second"):
        file.write_text(f"SOME_API_KEY={key}", encoding="utf-8")
        provider.reload_missing_keys()
    assert provider.key == "first"
    assert provider.identity != before


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_a_provider_is_not_configured(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    """Absent, empty and blank are the same."""
    if key is not None:
        monkeypatch.setenv("SOME_API_KEY", key)
    with pytest.raises(ProviderError) as caught:
        _ = Some().key
    assert caught.value.code is ErrorCode.NOT_CONFIGURED


def test_the_settings_do_not_show_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither printed nor as JSON."""
    monkeypatch.setenv("SOME_API_KEY", "test-key")
    settings = Some().settings
    assert Some().key == "test-key"
    assert "test-key" not in f"{settings!r} {settings} {settings.model_dump_json()} {Some()!r}"
