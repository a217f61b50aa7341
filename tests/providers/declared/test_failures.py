"""The failure that an answer states, by the rules of its definition."""

import pytest

from integrations.providers.declared import failures
from integrations.quota.errors import ErrorCode
from tests.providers.declared.answers import of, response

RULES = """
  - {status: 418, code: subscription_inactive}
  - {path: ok, equals: false, code: provider_unavailable}
  - {status: 403, path: error.code, equals: 4, code: authentication_failed}
  - {path: error.type, codes: {expired: subscription_inactive, limit: rate_limited}}
  - {path: n, equals: null, code: timeout}
  - {path: result, starts_with: "Max daily rate limit", code: quota_exhausted}
  - {path: code, not_equals: 0, code: network}
  - {path: "list[type=x].bad", equals: true, code: permission_denied}
"""
FAILURES = [
    (418, "no JSON", ErrorCode.SUBSCRIPTION_INACTIVE),
    (200, '{"ok": false}', ErrorCode.PROVIDER_UNAVAILABLE),
    (200, '{"ok": false, "error": {"type": "limit"}}', ErrorCode.PROVIDER_UNAVAILABLE),
    (200, '{"ok": 0}', None),
    (200, '{"ok": "false"}', None),
    (200, '{"ok": null}', None),
    (403, '{"error": {"code": 4}}', ErrorCode.AUTHENTICATION_FAILED),
    (403, '{"error": {"code": 4.0}}', ErrorCode.AUTHENTICATION_FAILED),
    (403, '{"error": {"code": "4"}}', None),
    (200, '{"error": {"code": 4}}', None),
    (200, '{"error": {"type": "expired"}}', ErrorCode.SUBSCRIPTION_INACTIVE),
    (200, '{"error": {"type": "other"}}', None),
    (200, '{"error": {"type": ["expired"]}}', None),
    (200, '{"n": null}', ErrorCode.TIMEOUT),
    (200, '{"result": "Max daily rate limit reached. 5 of 5"}', ErrorCode.QUOTA_EXHAUSTED),
    (200, '{"result": "max daily rate limit reached"}', None),
    (200, '{"result": "The Max daily rate limit"}', None),
    (200, '{"result": {"Max daily rate limit": 1}}', None),
    (200, '{"code": 5}', ErrorCode.NETWORK),
    (200, '{"code": "0"}', ErrorCode.NETWORK),
    (200, '{"code": null}', ErrorCode.NETWORK),
    (200, '{"code": 0.0}', None),
    (200, '{"list": [{"type": "x", "bad": true}]}', ErrorCode.PERMISSION_DENIED),
    (200, '{"list": [{"type": "x", "bad": true}, {"type": "x"}]}', None),
    (200, "{}", None),
    (200, "[]", None),
    (500, "<html>", None),
]


@pytest.mark.parametrize(("status", "body", "code"), FAILURES, ids=str)
def test_the_first_rule_that_fits_gives_the_failure(status: int, body: str, code: ErrorCode | None) -> None:
    """By type and value; without a fitting rule the status counts."""
    failure = failures.failure_in(of("[{unit: x, used: u}]", RULES), response(body, status))
    assert (failure.code if failure else None) is code
