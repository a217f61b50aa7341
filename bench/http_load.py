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


async def get(url: str, cookie: str, *, connections: int = 8, seconds: float = 3) -> Load:
    """Load an address with GET.

    Args:
        url: http, on loopback.
        cookie: the `Cookie` header.
        connections: how many ask at the same time.
        seconds: how long.

    Raises:
        RuntimeError: an answer is not 200.
    """
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookie}\r\n\r\n".encode()
    taken: list[float] = []
    began = time.perf_counter()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (asked := time.perf_counter()) < began + seconds:
            writer.write(request)
            async with asyncio.timeout(30):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                if head.split()[1] != "200":
                    raise RuntimeError(head)
                await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
            taken.append(time.perf_counter() - asked)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(len(taken) / (time.perf_counter() - began), taken)
