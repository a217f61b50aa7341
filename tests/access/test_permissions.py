"""Roles and permissions: whatever is not granted is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.access.permissions import INTEGRATION_READ, is_allowed, permissions_of

GRANTED = {
    "admin": ["*"],
    "reader": ["integration:Read"],
    "manager": ["integration:*"],
    "writer": ["integration:Write"],
    "biller": ["billing:*", "billing:Read"],
    "viewer": [],
}


@pytest.mark.parametrize(
    ("allowed", "role"),
    [
        (True, "admin"),
        (True, "reader"),
        (True, "manager"),
        (False, "writer"),
        (False, "biller"),
        (False, "viewer"),
        (False, "nobody-defined-this"),
        (False, "*"),
    ],
)
def test_reading_is_for_those_whose_role_grants_it(allowed: bool, role: str) -> None:
    """`*`, `integration:*` and the permission itself grant reading; another action, resource or role does not."""
    assert is_allowed(INTEGRATION_READ, permissions_of([role], GRANTED)) is allowed


def test_one_granting_role_of_several_is_enough() -> None:
    """Roles add up, an unknown one takes nothing away, and no role grants nothing."""
    assert is_allowed(INTEGRATION_READ, permissions_of(["viewer", "gone", "reader"], GRANTED))
    assert not is_allowed(INTEGRATION_READ, permissions_of([], GRANTED))


@pytest.mark.parametrize(
    "asked", ["*", "integration:*", "", "integration", ":Read", "integration:read", "a:B:C"]
)
def test_what_names_no_single_permission_is_refused_even_to_an_admin(asked: str) -> None:
    """A pattern or an empty text in place of a permission is a mistake in the code, and is not granted."""
    assert not is_allowed(asked, frozenset({"*", asked}))


@given(
    roles=st.lists(st.text()),
    grants=st.dictionaries(st.text(), st.lists(st.text().filter(lambda grant: grant != "*"))),
)
def test_only_the_three_known_grants_grant_anything(roles: list[str], grants: dict[str, list[str]]) -> None:
    """No other text in a store grants anything."""
    granting = {"*", "integration:*", "integration:Read"}
    expected = any(granting & set(grants.get(role, ())) for role in roles)
    assert is_allowed(INTEGRATION_READ, permissions_of(roles, grants)) is expected
