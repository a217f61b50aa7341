"""What a request tells about its sender, read without trust."""

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
    """Wherever it stands, and whatever look-alike stands beside it."""
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
    """A look-alike of another subdomain, or two of one name, of which nobody knows which is ours."""
    assert cookie_in(headers, NAME) is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        (None, "unknown"),
        ("", "unknown"),
        ("192.0.2.7 user='alice'", "unknown"),
        ("192.0.2.7\nforged", "unknown"),
    ],
)
def test_an_address_for_the_log_is_one(host: str | None, address: str) -> None:
    """A text that is none, as from a forged header, never gets into the log."""
    assert client_address(host) == address


def test_an_ipv6_line_counts_as_one_client() -> None:
    """Whoever has one has 2^64 addresses."""
    assert (
        client_network("2001:db8:1:2:aaaa::1") == client_network("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::"
    )
    assert client_network("2001:db8:1:3::1") == "2001:db8:1:3::"
    assert client_network("192.0.2.7") == "192.0.2.7"
