"""From roles to a decision. Pure, and closed by default: what is not granted is refused."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

INTEGRATION_READ: Final = "integration:Read"
"""See the quota of the integrations. `integration:Write` is reserved for later."""

PERMISSION: Final = re.compile(r"\*|[a-z][a-z0-9_-]*:(?:\*|[A-Z][A-Za-z]*)")
"""`resource:Action`; `*` grants all, `resource:*` all actions of one resource."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and why, for the log."""

    allowed: bool
    reason: str


def decide(roles: Iterable[str], permission: str, granted: Mapping[str, Sequence[str]]) -> Decision:
    """Whether somebody with these roles may do this.

    Args:
        roles: of the user; one that nobody defined grants nothing.
        permission: `resource:Action`, both named.
        granted: the permissions of each role.
    """
    if "*" in permission or PERMISSION.fullmatch(permission) is None:
        return Decision(allowed=False, reason=f"{permission!r} names no single permission")
    resource = permission.partition(":")[0]
    for role in roles:
        for grant in granted.get(role, ()):
            if grant in {"*", f"{resource}:*", permission}:
                return Decision(allowed=True, reason=f"role {role!r} grants {grant!r}")
    return Decision(allowed=False, reason=f"no role grants {permission!r}")
