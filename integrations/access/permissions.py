"""Roles and permissions. Pure, and closed by default: what is not granted is refused."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

INTEGRATION_READ: Final = "integration:Read"
"""See the quota of the integrations. `integration:Write` is reserved for later."""

PERMISSION: Final = re.compile(r"\*|[a-z][a-z0-9_-]*:(?:\*|[A-Z][A-Za-z]*)")
"""`resource:Action`; `*` grants all, `resource:*` all actions of one resource."""


def permissions_of(roles: Iterable[str], granted: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Everything that these roles grant together; a role that nobody defined grants nothing.

    Args:
        roles: of a user or a token.
        granted: the permissions of each role.
    """
    return frozenset(permission for role in roles for permission in granted.get(role, ()))


def is_allowed(permission: str, held: frozenset[str]) -> bool:
    """Whether somebody who holds these permissions may do this.

    Args:
        permission: `resource:Action`, both named; a pattern is never allowed.
        held: permissions, `resource:*` and `*` among them.
    """
    if "*" in permission or PERMISSION.fullmatch(permission) is None:
        return False
    resource = permission.partition(":")[0]
    return not held.isdisjoint({"*", f"{resource}:*", permission})
