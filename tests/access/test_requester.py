"""The cookie and the address of a request, read without trust."""

import pytest

from integrations.access.requester import client_address, client_network, cookie_in

NAME = "__Host-integrations-session"


@pytest.mark.parametrize(
    "headers",
    [
        [f"{NAME}=ours"],
        [f"a=b; {NAME}=ours; c=d"],
        [f"a=b;\t{NAME}=ours ;c=d"],
        ["a=b", f"{NAME}=ours"],
        [f"\xa0{NAME}=theirs; {NAME}=ours"],
        [f"{NAME}=ours; \x85{NAME}=theirs"],
        [f"{NAME.upper()}=theirs; {NAME}=ours; {NAME}x=theirs"],
    ],
)
def test_the_cookie_of_exactly_our_name_is_read(headers: list[str]) -> None:
    """Wherever it is, and whatever look-alike is next to it."""
    assert cookie_in(headers, NAME) == "ours"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        [NAME],
        [f"\xa0{NAME}=theirs"],
        [f"\x85{NAME}=theirs"],
        [f"\u2003{NAME}=theirs"],
        [f"{NAME}\xa0=theirs"],
        [f"{NAME} =theirs"],
        [f"{NAME.lower()}=theirs"],
        [f"{NAME}=ours; {NAME}=theirs"],
        [f"{NAME}=ours", f"{NAME}=theirs"],
        [f"{NAME}=ours; {NAME}=ours"],
        [f'x="; {NAME}x=theirs"'],
    ],
)
def test_a_cookie_that_is_not_ours_beyond_doubt_counts_as_none(headers: list[str]) -> None:
    """A look-alike of another subdomain, or two of one name."""
    assert cookie_in(headers, NAME) is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, "unknown"),
        ("", "unknown"),
        ("192.0.2.7 user='alice'", "unknown"),
        ("192.0.2.7\nforged", "unknown"),
    ],
)
def test_only_an_address_gets_into_the_log(host: str | None, address: str) -> None:
    """No other text, as from a forged header; an IPv4 address in one form."""
    assert client_address(host) == address


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.8", "192.0.2.8"),
    ],
)
def test_an_ipv6_line_counts_as_one_client(host: str, network: str) -> None:
    """It has 2^64 addresses; an IPv4 client behind an IPv6 proxy counts by its own address."""
    assert client_network(host) == network
