"""The session cookie and the network address of a request, both read without trust."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final

UNKNOWN_CLIENT: Final = "unknown"


def cookie_in(headers: Iterable[str], name: str) -> str | None:
    r"""Return the value of the one cookie of exactly this name; None if there is none, or more than one.

    Python's and Starlette's parsers strip more than space and tab from a name. A page of a sibling subdomain can set
    `\xa0__Host-…`, for which browsers do not enforce the prefix's rules, and those parsers would take it for ours.

    Args:
        headers: the values of all `Cookie` headers.
        name: the name of the cookie.
    """
    found = []
    for header in headers:
        for pair in header.split(";"):
            key, separator, value = pair.strip(" \t").partition("=")
            if separator and key == name:
                found.append(value)
    return found[0] if len(found) == 1 else None


def client_address(host: str | None) -> str:
    """Return an IP address for the log; `unknown` for any other text, such as a forged proxy header."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return UNKNOWN_CLIENT
    return str(getattr(address, "ipv4_mapped", None) or address)  # ::ffff:192.0.2.7 is 192.0.2.7


def client_network(host: str | None) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    address = client_address(host)
    if ":" not in address:
        return address
    return str(IPv6Address(int(ip_address(address)) >> 64 << 64))
