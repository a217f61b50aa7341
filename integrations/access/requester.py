"""What a request tells about its sender: the session's cookie and the network address, read without trust."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final

UNKNOWN_CLIENT: Final = "unknown"


def cookie_in(headers: Iterable[str], name: str) -> str | None:
    r"""The value of the one cookie of exactly this name; None where there is none, or more than one.

    Python's and Starlette's readers strip more than space and tab from a name. A page of a sibling subdomain can set
    `\xa0__Host-…`, which the browser does not hold to the prefix's rules, and they would take it for ours.

    Args:
        headers: the values of all `Cookie` headers.
        name: of the cookie.
    """
    found = []
    for header in headers:
        for pair in header.split(";"):
            key, separator, value = pair.strip(" \t").partition("=")
            if separator and key == name:
                found.append(value)
    return found[0] if len(found) == 1 else None


def client_address(host: str | None) -> str:
    """An IP address for the log; what is none, such as a forged text in a proxy's header, is `unknown`."""
    try:
        return str(ip_address(host or ""))
    except ValueError:
        return UNKNOWN_CLIENT


def client_network(host: str | None) -> str:
    """What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that one line is given."""
    address = client_address(host)
    if ":" not in address:
        return address
    return str(IPv6Address(int(ip_address(address)) >> 64 << 64))
