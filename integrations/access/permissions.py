"""Roles and permissions: whatever is not granted is refused."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

INTEGRATION_READ: Final = "integration:Read"
"""See the quota of the integrations. `integration:Write` is reserved for later."""

PERMISSION: Final = re.compile(r"\*|[a-z][a-z0-9_-]*:(?:\*|[A-Z][A-Za-z]*)")
"""`resource:Action`; `*` grants all, `resource:*` all actions of one resource."""


def permissions_of(roles: Iterable[str], granted: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the permissions that these roles grant together; an undefined role grants nothing.

    Args:
        roles: of a user or a token.
        granted: the permissions of each role.
    """
    return frozenset(permission for role in roles for permission in granted.get(role, ()))


def is_allowed(permission: str, held: frozenset[str]) -> bool:
    """Return whether these permissions include this one.

    Args:
        permission: `resource:Action`, both named; a pattern is never allowed.
        held: permissions; `resource:*` and `*` are patterns.
    """
    if "*" in permission or PERMISSION.fullmatch(permission) is None:
        return False
    resource = permission.partition(":")[0]
    return not held.isdisjoint({"*", f"{resource}:*", permission})
