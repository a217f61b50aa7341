"""The faults that every provider must survive, and what each must be told as. `docs/faults.md` lists them too."""

from dataclasses import dataclass

from integrations.quota.errors import ErrorCode
from tests.providers import hostile
from tests.providers.hostile import Behaviour, answer, flooding, raw


@dataclass(frozen=True)
class Fault:
    """One way in which a server can fail."""

    name: str
    behaviour: Behaviour
    code: ErrorCode
    retried: bool = False
    wait: str | None = None
    """The time that the card names."""


HTML = b"<!doctype html><title>Hello</title>"

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ODD = b'{"success": false, "error": {"code": [1]}, "errors": 7, "code": {}, "message": [], "detail": null}'
NO_DATE = "Mon, 23 Nov 2026 99999999999999999999:00:00 GMT"

FAULTS = (
    # By status, whatever the body holds.
    Fault("400", answer(400), ErrorCode.INVALID_RESPONSE),
    Fault("401", answer(401), ErrorCode.AUTHENTICATION_FAILED),
    Fault("401, over 1 MiB", answer(401, b" " * 1_100_000), ErrorCode.AUTHENTICATION_FAILED),
    Fault("401, an error of odd types", answer(401, ODD), ErrorCode.AUTHENTICATION_FAILED),
    Fault("402", answer(402), ErrorCode.SUBSCRIPTION_INACTIVE),
    Fault("403", answer(403), ErrorCode.PERMISSION_DENIED),
    Fault("403, a page of HTML", answer(403, HTML), ErrorCode.INVALID_RESPONSE),
    Fault("404", answer(404, HTML), ErrorCode.INVALID_RESPONSE),
    Fault("405", answer(405), ErrorCode.INVALID_RESPONSE),
    Fault("429", answer(429), ErrorCode.RATE_LIMITED),
    Fault(
        "429, Retry-After: 120",
        answer(429, Retry_After="120"),
        ErrorCode.RATE_LIMITED,
        wait="in 2 minutes",
    ),
    Fault("500", answer(500, HTML), ErrorCode.PROVIDER_UNAVAILABLE),
    Fault("502", answer(502, HTML), ErrorCode.PROVIDER_UNAVAILABLE, retried=True),
    Fault("503", answer(503), ErrorCode.PROVIDER_UNAVAILABLE, retried=True),
    Fault("503, Retry-After: 0", answer(503, Retry_After="0"), ErrorCode.PROVIDER_UNAVAILABLE, retried=True),
    Fault(
        "503, Retry-After no date",
        answer(503, Retry_After=NO_DATE),
        ErrorCode.PROVIDER_UNAVAILABLE,
        retried=True,
    ),
    Fault(
        "503, cut in the middle",
        raw(b"HTTP/1.1 503 Status\r\nContent-Length: 50\r\n\r\n<"),
        ErrorCode.PROVIDER_UNAVAILABLE,
        retried=True,
    ),
    Fault("504", answer(504), ErrorCode.PROVIDER_UNAVAILABLE, retried=True),
    Fault("redirect", answer(302, Location="http://127.0.0.1:9/"), ErrorCode.INVALID_RESPONSE),
    Fault("redirect to no URL", answer(302, Location="http://[::1"), ErrorCode.INVALID_RESPONSE),
    Fault(
        "redirect, gzip bomb",
        answer(302, hostile.BOMB, Location="/", Content_Encoding="gzip"),
        ErrorCode.INVALID_RESPONSE,
    ),
    # Connections that fail.
    Fault("closed without an answer", raw(b""), ErrorCode.NETWORK, retried=True),
    Fault(
        "cut in the middle",
        raw(JSON + b'Content-Length: 50\r\n\r\n{"a":'),
        ErrorCode.NETWORK,
        retried=True,
    ),
    Fault(
        "cut in a chunk",
        raw(JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}"),
        ErrorCode.NETWORK,
        retried=True,
    ),
    Fault("silence", hostile.silent, ErrorCode.TIMEOUT),
    Fault("headers, then silence", hostile.stalled, ErrorCode.TIMEOUT),
    Fault("dripping body", hostile.dripping_body, ErrorCode.TIMEOUT),
    Fault("dripping chunks", hostile.dripping_chunks, ErrorCode.TIMEOUT),
    Fault("dripping headers", hostile.dripping_headers, ErrorCode.TIMEOUT),
    Fault("100 Continue for ever", flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), ErrorCode.TIMEOUT),
    # Answers that are no HTTP, or no end of it.
    Fault("not HTTP", raw(b"SSH-2.0-OpenSSH_9.2\r\n"), ErrorCode.INVALID_RESPONSE),
    Fault("a header without end", flooding(JSON + b"X: ", b"x" * 65_536), ErrorCode.INVALID_RESPONSE),
    Fault("headers without end", flooding(JSON, b"X: x\r\n" * 1000), ErrorCode.INVALID_RESPONSE),
    Fault("a body without end", flooding(JSON + b"\r\n", b" " * 65_536), ErrorCode.INVALID_RESPONSE),
    Fault(
        "not the chunks announced",
        raw(JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
        ErrorCode.INVALID_RESPONSE,
    ),
    Fault(
        "two lengths",
        raw(JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
        ErrorCode.INVALID_RESPONSE,
    ),
    # Bodies with 200 that make no sense.
    Fault("HTML with 200", answer(200, HTML), ErrorCode.INVALID_RESPONSE),
    Fault("empty body", answer(200, b""), ErrorCode.INVALID_RESPONSE),
    Fault("empty object", answer(200, b"{}"), ErrorCode.INVALID_RESPONSE),
    Fault("list on top", answer(200, b"[1]"), ErrorCode.INVALID_RESPONSE),
    Fault("null", answer(200, b"null"), ErrorCode.INVALID_RESPONSE),
    Fault("not UTF-8", answer(200, '{"ä": 1}'.encode("latin-1")), ErrorCode.INVALID_RESPONSE),
    Fault("UTF-16", answer(200, '{"a": 1}'.encode("utf-16")), ErrorCode.INVALID_RESPONSE),
    Fault("NaN", answer(200, b'{"a": NaN}'), ErrorCode.INVALID_RESPONSE),
    Fault("a key twice", answer(200, b'{"a": 1, "a": 2}'), ErrorCode.INVALID_RESPONSE),
    Fault("deep nesting", answer(200, b"[" * 100_000), ErrorCode.INVALID_RESPONSE),
    Fault("5,000 digits", answer(200, b'{"a": ' + b"9" * 5000 + b"}"), ErrorCode.INVALID_RESPONSE),
    Fault("over 1 MiB", answer(200, b" " * 1_100_000), ErrorCode.INVALID_RESPONSE),
    Fault("gzip bomb", answer(200, hostile.BOMB, Content_Encoding="gzip"), ErrorCode.INVALID_RESPONSE),
    Fault(
        "gzip bomb in chunks",
        raw(JSON + b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" + hostile.CHUNKED_BOMB),
        ErrorCode.INVALID_RESPONSE,
    ),
    Fault("broken gzip", answer(200, b"not gzip", Content_Encoding="gzip"), ErrorCode.INVALID_RESPONSE),
)
