"""Calls to providers over HTTP: deadline, retries, size limit, redirects and proxies, once for all providers."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import requests
import tenacity
from requests.utils import should_bypass_proxies
from urllib3.exceptions import HTTPError

from integrations.quota.errors import ErrorCode, ProviderError
from integrations.settings import panel_settings
from integrations.transport import reasons
from integrations.transport.deadline import Deadline, DeadlineAdapter
from integrations.transport.request import Request
from integrations.transport.response import Response, code_for_status, retry_after_seconds

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_ATTEMPTS: Final = 4
_CHUNK_BYTES: Final = 64 * 1024
_BACKOFF: Final = tenacity.wait_exponential_jitter(multiplier=0.1, max=2, jitter=0.1)
_LEAST_SECONDS: Final = 0.15
"""A shorter attempt would only turn a known failure into a timeout."""
_RETRIED_STATUSES: Final = frozenset({502, 503, 504})


def _is_silent(_record: logging.LogRecord) -> bool:
    return False


for _module in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    # Their records hold the URL, in which some services want the key.
    logging.getLogger(f"urllib3.{_module}").addFilter(_is_silent)


class _Session(requests.Session):
    """A session that prepares no redirect; to prepare one, requests would read the whole body first."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


FailureIn = Callable[[Response], ProviderError | None]
"""Returns the failure that a response states, or None for a good one."""


class Client:
    """The HTTP of one fetch of one provider, within one deadline.

    Args:
        deadline: seconds for the whole fetch: every attempt, every wait, the slowest body.
        failure_in: returns the failure that a response states.

    Attributes:
        requests: the number of requests sent.
    """

    def __init__(self, *, deadline: float, failure_in: FailureIn) -> None:
        self._deadline = Deadline(deadline)
        self._failure_in = failure_in
        self.requests = 0
        self._session = _Session()
        self._session.trust_env = (
            False  # no proxy, certificates or .netrc of the environment: the key goes to one host
        )
        settings = panel_settings()
        for prefix in ("http://", "https://"):
            self._session.mount(prefix, DeadlineAdapter(self._deadline, trusted=settings.ca_file))

    def remaining(self) -> float:
        """Return the seconds until the deadline."""
        return self._deadline.remaining()

    def close(self) -> None:
        """End the fetch; nothing is sent after this. Safe from any thread."""
        self._deadline.cut()
        self._session.close()

    def get(self, url: str, *, headers: Mapping[str, str]) -> Response:
        """Send a GET; the key belongs in the headers. See `send`."""
        return self.send(Request(url, headers=headers))

    def send(self, request: Request) -> Response:
        """Send a request, with retries and backoff if the failure may pass and the deadline allows.

        Raises:
            ProviderError: of every kind but `not_configured`; neither it nor the log holds the URL.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=self._give_up,
            wait=_wait,
            sleep=self._deadline.wait,
            reraise=True,
        )
        try:
            return retrying(self._attempt, request)
        except ProviderError as error:
            error.__context__ = None  # its causes hold the request: the headers and the URL, so the key
            raise

    def _give_up(self, state: tenacity.RetryCallState) -> bool:
        in_vain = state.upcoming_sleep + _LEAST_SECONDS > self.remaining()
        return state.attempt_number >= MAX_ATTEMPTS or in_vain

    def _attempt(self, request: Request) -> Response:
        try:
            answer = self._exchange(request)
        except ProviderError:
            raise
        except (OSError, HTTPError, ValueError) as error:  # requests' exceptions are OSErrors or ValueErrors
            raise self._connection_failure(error) from None
        failure = self._failure_of(answer)
        if failure is not None:
            raise failure
        return answer

    def _exchange(self, request: Request) -> Response:
        remaining = self.remaining()
        if remaining == 0:
            raise ProviderError(ErrorCode.TIMEOUT, "deadline")
        self.requests += 1
        with self._session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=remaining,
            allow_redirects=False,
            stream=True,
            proxies=_proxies(request.url),
        ) as response:
            try:
                body = _body(response)
            except (OSError, HTTPError, ValueError) as error:
                if code_for_status(response.status_code) is None or self.remaining() == 0:
                    raise self._connection_failure(error, response.status_code) from None
                body = b""  # the status states the failure already
            return Response(response.status_code, response.headers, body)

    def _connection_failure(self, error: Exception, status: int | None = None) -> ProviderError:
        reason = reasons.describe(error)
        if self.remaining() == 0 or isinstance(error, requests.Timeout | TimeoutError):
            return ProviderError(ErrorCode.TIMEOUT, reason, http_status=status)
        if reasons.is_torn(error):
            return ProviderError(ErrorCode.NETWORK, reason, http_status=status)
        if isinstance(error, _BROKEN_ANSWER) or not isinstance(error, OSError) or reasons.is_not_http(error):
            return ProviderError(ErrorCode.INVALID_RESPONSE, reason, http_status=status)
        return ProviderError(ErrorCode.NETWORK, reason, http_status=status)

    def _failure_of(self, answer: Response) -> ProviderError | None:
        failure = self._failure_in(answer)
        if failure is None and (code := code_for_status(answer.status)) is not None:
            failure = _html_failure(answer, code) or ProviderError(code, http_status=answer.status)
        if failure is not None:
            header = answer.headers.get("Retry-After")
            failure.retry_after = retry_after_seconds(header, now=datetime.now(UTC))
        return failure


_BROKEN_ANSWER: Final = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.InvalidHeader,
)


_BLAMED_ON_THE_KEY: Final = frozenset({401, 402, 403})


def _html_failure(answer: Response, code: ErrorCode) -> ProviderError | None:
    """Return the failure of a page that a proxy or a bot check sent in place of the API: it does not judge the key."""
    if answer.status not in _BLAMED_ON_THE_KEY or answer.body.lstrip()[:1] != b"<":
        return None
    detail = f"HTML in place of {code}: something in front of the service answered, such as a proxy"
    return ProviderError(ErrorCode.INVALID_RESPONSE, detail, http_status=answer.status)


def _proxies(url: str) -> dict[str, str]:
    """Return the proxy for a URL, as requests takes it."""
    settings = panel_settings()
    direct = ",".join(host.removeprefix("*") for host in settings.no_proxy)
    if settings.https_proxy is None or should_bypass_proxies(url, direct):
        return {}
    return {"https": settings.https_proxy.get_secret_value()}


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
    """Whether a retry at once may help; a 429 only if it says how long to wait."""
    if not isinstance(error, ProviderError):
        return False
    if error.code is ErrorCode.NETWORK:
        return error.__context__ is None or not reasons.needs_a_person(error.__context__)
    if error.http_status in _RETRIED_STATUSES:
        return True
    return error.code is ErrorCode.RATE_LIMITED and error.retry_after is not None


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ProviderError) else None
    return max(asked or 0.0, _BACKOFF(state))  # a Retry-After of 0 shortens no pause
