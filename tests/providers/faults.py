"""The faults that every provider must survive, and the code of each. `docs/faults.md` lists them, too."""

from dataclasses import dataclass

from integrations.quota.errors import ErrorCode
from tests.providers import hostile
from tests.providers.hostile import Behavior, answer, flooding, raw


@dataclass(frozen=True)
class Fault:
    """One way in which a server can fail."""

    name: str
    behavior: Behavior
    code: ErrorCode
    retried: bool = False
    wait: str | None = None
    """The time that the card names."""


HTML = b"<!doctype html><title>Hello</title>"

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ODD = b'{"success": false, "error": {"code": [1]}, "errors": 7, "code": {}, "message": [], "detail": null}'
NO_DATE = "Mon, 23 Nov 2026 99999999999999999999:00:00 GMT"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"

INVALID = ErrorCode.INVALID_RESPONSE
DOWN = ErrorCode.PROVIDER_UNAVAILABLE
NETWORK = ErrorCode.NETWORK
TIMEOUT = ErrorCode.TIMEOUT
LIMITED = ErrorCode.RATE_LIMITED
UNAUTHENTICATED = ErrorCode.AUTHENTICATION_FAILED

FAULTS = (
    # By status, with any body.
    Fault("400", answer(400), INVALID),
    Fault("401", answer(401), UNAUTHENTICATED),
    Fault("401, over 1 MiB", answer(401, b" " * 1_100_000), UNAUTHENTICATED),
    Fault("401, an error of odd types", answer(401, ODD), UNAUTHENTICATED),
    Fault("402", answer(402), ErrorCode.SUBSCRIPTION_INACTIVE),
    Fault("403", answer(403), ErrorCode.PERMISSION_DENIED),
    Fault("403, a page of HTML", answer(403, HTML), INVALID),
    Fault("404", answer(404, HTML), INVALID),
    Fault("405", answer(405), INVALID),
    Fault("429", answer(429), LIMITED),
    Fault("429, Retry-After: 120", answer(429, Retry_After="120"), LIMITED, wait="in 2 minutes"),
    Fault("500", answer(500, HTML), DOWN),
    Fault("502", answer(502, HTML), DOWN, retried=True),
    Fault("503", answer(503), DOWN, retried=True),
    Fault("503, Retry-After: 0", answer(503, Retry_After="0"), DOWN, retried=True),
    Fault("503, Retry-After no date", answer(503, Retry_After=NO_DATE), DOWN, retried=True),
    Fault(
        "503, cut in the middle",
        raw(b"HTTP/1.1 503 Status\r\nContent-Length: 50\r\n\r\n<"),
        DOWN,
        retried=True,
    ),
    Fault("504", answer(504), DOWN, retried=True),
    Fault("redirect", answer(302, Location="http://127.0.0.1:9/"), INVALID),
    Fault("redirect to no URL", answer(302, Location="http://[::1"), INVALID),
    Fault("redirect, gzip bomb", answer(302, hostile.BOMB, Location="/", Content_Encoding="gzip"), INVALID),
    # Connections that fail.
    Fault("closed without an answer", raw(b""), NETWORK, retried=True),
    Fault("cut in the middle", raw(JSON + b'Content-Length: 50\r\n\r\n{"a":'), NETWORK, retried=True),
    Fault("cut in a chunk", raw(CHUNKED + b"\r\n5\r\n{}"), NETWORK, retried=True),
    Fault("silence", hostile.silent, TIMEOUT),
    Fault("headers, then silence", hostile.stalled, TIMEOUT),
    Fault("dripping body", hostile.dripping_body, TIMEOUT),
    Fault("dripping chunks", hostile.dripping_chunks, TIMEOUT),
    Fault("dripping headers", hostile.dripping_headers, TIMEOUT),
    Fault("100 Continue for ever", flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), TIMEOUT),
    # Answers that are not HTTP, or never end.
    Fault("not HTTP", raw(b"SSH-2.0-OpenSSH_9.2\r\n"), INVALID),
    Fault("a header without end", flooding(JSON + b"X: ", b"x" * 65_536), INVALID),
    Fault("headers without end", flooding(JSON, b"X: x\r\n" * 1000), INVALID),
    Fault("a body without end", flooding(JSON + b"\r\n", b" " * 65_536), INVALID),
    Fault("not the chunks announced", raw(CHUNKED + b"\r\nzz\r\n{}"), INVALID),
    Fault("two lengths", raw(JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), INVALID),
    # Unreadable bodies with 200.
    Fault("HTML with 200", answer(200, HTML), INVALID),
    Fault("empty body", answer(200, b""), INVALID),
    Fault("empty object", answer(200, b"{}"), INVALID),
    Fault("list on top", answer(200, b"[1]"), INVALID),
    Fault("null", answer(200, b"null"), INVALID),
    Fault("not UTF-8", answer(200, '{"ä": 1}'.encode("latin-1")), INVALID),
    Fault("UTF-16", answer(200, '{"a": 1}'.encode("utf-16")), INVALID),
    Fault("NaN", answer(200, b'{"a": NaN}'), INVALID),
    Fault("a key twice", answer(200, b'{"a": 1, "a": 2}'), INVALID),
    Fault("deep nesting", answer(200, b"[" * 100_000), INVALID),
    Fault("5,000 digits", answer(200, b'{"a": ' + b"9" * 5000 + b"}"), INVALID),
    Fault("over 1 MiB", answer(200, b" " * 1_100_000), INVALID),
    Fault("gzip bomb", answer(200, hostile.BOMB, Content_Encoding="gzip"), INVALID),
    Fault(
        "gzip bomb in chunks",
        raw(CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + hostile.CHUNKED_BOMB),
        INVALID,
    ),
    Fault("broken gzip", answer(200, b"not gzip", Content_Encoding="gzip"), INVALID),
)
