"""Load on a plain HTTP address: several keep-alive connections, each asking again as soon as it is answered."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What a load gave.

    Attributes:
        per_second: answers a second.
        seconds: from request to answer, one for each.
    """

    per_second: float
    seconds: list[float]


class HttpError(Exception):
    """An answer that is not 200; the text is its status line."""


async def get(url: str, cookie: str | None = None, *, connections: int = 8, seconds: float = 3) -> Load:
    """Load an address with GET.

    Args:
        url: http, on loopback.
        cookie: the `Cookie` header.
        connections: how many ask at the same time.
        seconds: how long.

    Raises:
        HttpError: an answer is not 200.
    """
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: application/json"]
    lines += [f"Cookie: {cookie}"] if cookie else []
    request = "\r\n".join([*lines, "", ""]).encode()
    taken: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while (asked := time.perf_counter()) < end:
                writer.write(request)
                await _answer(reader)
                taken.append(time.perf_counter() - asked)
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(len(taken) / (time.perf_counter() - began), taken)


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer; gives its body."""
    async with asyncio.timeout(30):
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        if status.split()[1] != "200":
            raise HttpError(status)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        return await reader.readexactly(int(headers["content-length"]))
