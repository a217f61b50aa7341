"""Why a connection failed, in words; never the text of the exception, which may hold the URL."""

import errno
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead
from typing import Final

from requests.exceptions import ProxyError
from urllib3.exceptions import InvalidChunkLength

_CERTIFICATE: Final = {  # X509_V_ERR_… of OpenSSL's verify(1)
    10: "its certificate has expired",
    18: "its certificate is self-signed: name its authority in PANEL_CA_FILE",
    19: "its certificate is of an unknown authority: name it in PANEL_CA_FILE",
    20: "its certificate is of an unknown authority: name it in PANEL_CA_FILE",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
_SYSTEM: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ENETUNREACH: "no route to it",
    errno.EHOSTUNREACH: "no route to it",
    errno.EMFILE: "too many open files",
}
_PROXY_CREDENTIALS: Final = "the proxy asks for other credentials (407): check PANEL_HTTPS_PROXY"
_TORN: Final = (IncompleteRead, ConnectionError, ssl.SSLEOFError)


def describe(error: BaseException) -> str:
    """Return a cause that an operator can look for, or else the type of the exception."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return _CERTIFICATE.get(link.verify_code, "its certificate cannot be verified")
        if isinstance(link, socket.gaierror):
            return "unknown host name"
        if isinstance(link, OSError) and str(link).startswith("Tunnel connection failed: 407"):
            return _PROXY_CREDENTIALS
        if isinstance(link, OSError) and link.errno in _SYSTEM:
            return ("the proxy: " if isinstance(error, ProxyError) else "") + _SYSTEM[link.errno]
    return "connection torn" if is_torn(error) else type(error).__name__


def is_torn(error: BaseException) -> bool:
    """Whether the connection ended before the answer did."""
    return any(isinstance(link, _TORN) and not isinstance(link, InvalidChunkLength) for link in _chain(error))


def is_not_http(error: BaseException) -> bool:
    """Whether the other side answered, but not in HTTP."""
    return any(isinstance(link, HTTPException) for link in _chain(error)) and not is_torn(error)


def needs_a_person(error: BaseException) -> bool:
    """Whether another attempt cannot help: a certificate, or the proxy's credentials."""
    bad_certificate = any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error))
    return bad_certificate or describe(error) == _PROXY_CREDENTIALS


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__
