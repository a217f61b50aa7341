"""Calls to providers over HTTP, and the only importer of requests.

Deadline, retries, size limit, redirects and proxies are dealt with here, once: a provider's file states only what
differs.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from typing import Any, Final

import requests
import tenacity
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from integrations.answer import Answer, kind_of_status, retry_after_seconds
from integrations.errors import ErrorCode, ProviderError

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_ATTEMPTS: Final = 4
_CHUNK_BYTES: Final = 64 * 1024
_BACKOFF: Final = tenacity.wait_exponential_jitter(multiplier=0.1, max=2, jitter=0.1)
_LEAST_SECONDS: Final = 0.15
"""An attempt with less time than this would only turn a known failure into a timeout."""
_RETRIED_STATUSES: Final = frozenset({502, 503, 504})


class _Cutoff:
    """Ends the sockets of one reading, wherever they hang: connecting, shaking hands, sending or receiving.

    A read timeout of requests counts from byte to byte, so a server that drips would never reach it.
    """

    def __init__(self, seconds: float) -> None:
        self._expires = time.monotonic() + seconds
        self._cut = threading.Event()
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []

    def remaining(self) -> float:
        """Seconds left; 0 once it is over."""
        return 0.0 if self._cut.is_set() else max(self._expires - time.monotonic(), 0.0)

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the deadline."""
        self._cut.wait(min(seconds, self.remaining()))

    def watch(self, connected: socket.socket) -> socket.socket:
        # A duplicate shares the connection and stays valid when TLS takes the original over.
        with self._lock:
            if self.remaining() == 0:
                connected.close()
                raise TimeoutError("deadline")
            self._handles.append(connected.dup())
        return connected

    def cut(self) -> None:
        with self._lock:
            self._cut.set()
            for handle in self._handles:
                with contextlib.suppress(OSError):  # the other side was faster
                    handle.shutdown(socket.SHUT_RDWR)
                handle.close()
            self._handles.clear()


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, cutoff: _Cutoff, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own
        super().__init__(*args, **kwargs)
        self._cutoff = cutoff

    def _new_conn(self) -> socket.socket:
        return self._cutoff.watch(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, cutoff: _Cutoff, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own
        super().__init__(*args, **kwargs)
        self._cutoff = cutoff

    def _new_conn(self) -> socket.socket:
        return self._cutoff.watch(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """requests' adapter, with connections that the cutoff can end."""

    def __init__(self, cutoff: _Cutoff) -> None:
        self._cutoff = cutoff
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_PlainPool, cutoff=self._cutoff),
            "https": partial(_TlsPool, cutoff=self._cutoff),
        }


class _Session(requests.Session):
    """requests' session, blind to redirects: to prepare the next one it would read the whole body first."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


Explain = Callable[[Answer], ProviderError | None]
"""Tells the failure that an answer states, or None for a good one."""


class Client:
    """Speaks HTTP for one reading of one provider, within one deadline.

    Args:
        deadline: seconds for the whole reading: every attempt, every wait, the slowest body.
        explain: tells the failure that an answer states.
    """

    def __init__(self, *, deadline: float, explain: Explain) -> None:
        self._cutoff = _Cutoff(deadline)
        self._explain = explain
        self._session = _Session()
        self._session.trust_env = False  # no proxy, no .netrc of the environment: the key goes to one host
        for prefix in ("http://", "https://"):
            self._session.mount(prefix, _Adapter(self._cutoff))

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self._cutoff.remaining()

    def close(self) -> None:
        """End whatever is under way; from here on nothing is sent. Safe from any thread."""
        self._cutoff.cut()
        self._session.close()

    def get(self, url: str, *, headers: Mapping[str, str]) -> Answer:
        """GET, retried with backoff where the failure may pass and the deadline allows.

        Args:
            url: where; no redirect is followed.
            headers: the request's headers; here the key belongs, never in the URL.

        Raises:
            ProviderError: of every kind but `not_configured`.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=self._give_up,
            wait=_wait,
            sleep=self._cutoff.wait,
            reraise=True,
        )
        return retrying(self._attempt, url, headers)

    def _give_up(self, state: tenacity.RetryCallState) -> bool:
        in_vain = state.upcoming_sleep + _LEAST_SECONDS > self.remaining()
        return state.attempt_number >= MAX_ATTEMPTS or in_vain

    def _attempt(self, url: str, headers: Mapping[str, str]) -> Answer:
        try:
            answer = self._exchange(url, headers)
        except ProviderError:
            raise
        except (OSError, HTTPError, ValueError) as error:  # requests' exceptions are OSErrors or ValueErrors
            raise self._connection_failure(error) from None
        failure = self._failure_of(answer)
        if failure is not None:
            raise failure
        return answer

    def _exchange(self, url: str, headers: Mapping[str, str]) -> Answer:
        remaining = self.remaining()
        if remaining == 0:
            raise ProviderError(ErrorCode.TIMEOUT, "deadline")
        with self._session.get(
            url, headers=dict(headers), timeout=remaining, allow_redirects=False, stream=True
        ) as response:
            try:
                body = _body(response)
            except (OSError, HTTPError, ValueError) as error:
                if kind_of_status(response.status_code) is None or self.remaining() == 0:
                    raise self._connection_failure(error, response.status_code) from None
                body = b""  # a failure that its status tells already
            return Answer(response.status_code, response.headers, body)

    def _connection_failure(self, error: Exception, status: int | None = None) -> ProviderError:
        kind = type(error).__name__  # the text could hold the URL
        if self.remaining() == 0 or isinstance(error, requests.Timeout | TimeoutError):
            return ProviderError(ErrorCode.TIMEOUT, kind, http_status=status)
        if isinstance(error, _BROKEN_ANSWER) or not isinstance(error, OSError) or _is_not_http(error):
            return ProviderError(ErrorCode.INVALID_RESPONSE, kind, http_status=status)
        return ProviderError(ErrorCode.NETWORK, kind, http_status=status)

    def _failure_of(self, answer: Answer) -> ProviderError | None:
        failure = self._explain(answer)
        if failure is None and (code := kind_of_status(answer.status)) is not None:
            failure = ProviderError(code, http_status=answer.status)
        if failure is not None:
            header = answer.headers.get("Retry-After")
            failure.retry_after = retry_after_seconds(header, now=datetime.now(UTC))
        return failure


_BROKEN_ANSWER: Final = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.InvalidHeader,
)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    while error is not None:
        yield error
        error = error.__context__


def _is_not_http(error: BaseException) -> bool:
    """Whether somebody answered, but not in HTTP."""
    return any(
        isinstance(link, HTTPException) and not isinstance(link, ConnectionError) for link in _chain(error)
    )


class _BodyTooLongError(ValueError):
    """A body over 1 MiB."""


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _BodyTooLongError
    return bytes(body)


def _may_pass(error: BaseException) -> bool:
    """Whether asking again at once may help; a 429 only when it says how long to wait."""
    if not isinstance(error, ProviderError):
        return False
    if error.code is ErrorCode.NETWORK:
        return not any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error))
    if error.http_status in _RETRIED_STATUSES:
        return True
    return error.code is ErrorCode.RATE_LIMITED and error.retry_after is not None


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ProviderError) else None
    return max(asked or 0.0, _BACKOFF(state))  # a Retry-After of 0 is no leave to hammer
