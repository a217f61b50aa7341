"""The failure that an answer states, by the rules of a service's definition."""

from decimal import Decimal

from integrations.providers.declared.definition import Condition, Definition, ErrorRule
from integrations.providers.declared.fields import Scalar
from integrations.providers.declared.paths import ABSENT, PathError
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.transport.response import Response


def failure_in(definition: Definition, response: Response) -> ProviderError | None:
    """Return the failure of the first rule that fits, or None."""
    for rule in definition.errors:
        if rule.status in {None, response.status}:
            code = rule.code if rule.path is None else _code_by_value(rule, response)
            if code is not None:
                return ProviderError(code, "by the definition's rule", http_status=response.status)
    return None


def _code_by_value(rule: ErrorRule, response: Response) -> ErrorCode | None:
    try:
        found = value_of(rule, response.json())
    except (ProviderError, PathError):  # an answer that cannot be read fails when its figures are read
        return None
    if rule.codes:
        return rule.codes.get(found) if isinstance(found, str) else None
    return rule.code if fits(rule, found) else None


def value_of(condition: Condition, document: object) -> object:
    """Return the value that a condition tests, or `ABSENT`.

    Raises:
        PathError: the path fits two elements.
    """
    return ABSENT if condition.path is None else condition.path.find(document)


def fits(condition: Condition, found: object) -> bool:
    """Return whether a value passes the condition's test. An absent value passes none, `not_equals` included."""
    if found is ABSENT:
        return False
    if condition.starts_with is not None:
        return isinstance(found, str) and found.startswith(condition.starts_with)
    if "not_equals" in condition.tests:
        return not is_same(found, condition.not_equals)
    return is_same(found, condition.equals)


def is_same(found: object, constant: Scalar) -> bool:
    """Return whether two JSON scalars are equal by type and value: true is not 1, "1" is not 1, but 1.0 is 1."""
    if isinstance(found, bool) or isinstance(constant, bool):
        return found is constant
    if isinstance(found, int | Decimal) and isinstance(constant, int | Decimal):
        return found == constant
    return type(found) is type(constant) and found == constant
