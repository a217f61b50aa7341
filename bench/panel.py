"""The panel as two of the candidates: how it is started, and how somebody signs in to it without a browser."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench import inside, servers
from bench.measure import Candidate
from bench.upstream import FIGURE, Account
from bench.viewer import Viewer, ViewerError

PASSWORD: Final = "bench-password-not-secret"  # noqa: S105 - of a store that is thrown away


@asynccontextmanager
async def served(
    folder: Path, account: Account, *, providers: int = 1, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Candidate]:
    """Candidate (c): the panel under `integrations serve`, and somebody signed in.

    Args:
        folder: an empty one, for its store and log.
        account: the upstream account that it asks.
        providers: how many cards it shows.
        extra: settings of the panel beside the usual ones.
    """
    settings = _settings(folder, account) | {inside.PROVIDERS_VARIABLE: str(providers)} | dict(extra or {})
    module = "integrations.cli" if providers == 1 else "bench.inside"
    with servers.integrations_serve(folder, settings, module=module) as server:
        yield Candidate("c", server, account, await sign_in(server.url))


@asynccontextmanager
async def plain(folder: Path, account: Account, *, providers: int = 1) -> AsyncIterator[Candidate]:
    """Candidate (b): the panel's page as a plain script under stock `streamlit run`. Arguments as for `served`."""
    cookie = folder / "cookie"
    settings = _settings(folder, account) | {
        inside.PROVIDERS_VARIABLE: str(providers),
        inside.COOKIE_FILE_VARIABLE: str(cookie),
        "BENCH_PASSWORD": PASSWORD,
    }
    with servers.streamlit_run(servers.CANDIDATES / "plain.py", folder, settings) as server:
        async with Viewer(server.url) as viewer:
            await viewer.first_visit()  # signs in on the server, and sees the form
        yield Candidate("b", server, account, cookie.read_text(encoding="ascii"))


async def sign_in(url: str) -> str:
    """Sign in as a browser does: form, ticket, exchange. Gives the `Cookie` header of the session."""
    async with Viewer(url) as viewer:
        await viewer.first_visit()
        return await _sign_in(viewer, url)


async def time_sign_ins(candidate: Candidate, count: int) -> list[float]:
    """Seconds from pressing Login to the figure: password check, ticket, exchange, page. One for each."""
    url, taken = candidate.server.url, []
    for _ in range(count):
        async with Viewer(url) as form:
            await form.first_visit()
            began = time.perf_counter()
            cookie = await _sign_in(form, url)
            async with Viewer(url, cookie) as page:
                await page.open()
                await page.until(FIGURE)
                taken.append(time.perf_counter() - began)
    return taken


async def _sign_in(viewer: Viewer, url: str) -> str:
    viewer.fill("Username", inside.USER)
    viewer.fill("Password", PASSWORD)
    await viewer.click("Login")
    ticket = json.loads(viewer.find("bidi_component").content.json)["ticket"]
    return await asyncio.to_thread(_exchange, url, ticket)


def _exchange(url: str, ticket: str) -> str:
    """What the page's script does in the browser: the ticket for the session's cookie."""
    request = urllib.request.Request(  # noqa: S310 - our own, on loopback
        f"{url}/integrations/session",
        data=json.dumps({"ticket": ticket}).encode(),
        headers={"Content-Type": "application/json", "Origin": url},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        cookie = str(answer.headers["Set-Cookie"])
    if "=" not in cookie:
        raise ViewerError("the exchange gave no cookie")
    return cookie.partition(";")[0]


def _settings(folder: Path, account: Account) -> dict[str, str]:
    """The panel's environment, with a store that holds one admin."""
    settings = {
        "IMAI_API_BASE_URL": account.base_url,
        "IMAI_API_KEY": "bench",
        "IMAI_TOTAL_CREDITS": "10000",
        "PANEL_AUTH_FILE": str(folder / "auth.yaml"),
    }
    command = [sys.executable, "-m", "integrations.cli", "users", "add", inside.USER, "--role", "admin"]
    subprocess.run(
        [*command, "--password-stdin"],
        cwd=servers.ROOT,
        env={**os.environ, **settings},
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
    )
    return settings
