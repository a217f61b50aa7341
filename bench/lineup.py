"""The candidates: what each is, and how it is started."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from bench import panel, servers
from bench.measure import Candidate
from bench.upstream import Account


class Launch(Protocol):
    """Starts a candidate; it ends with the block."""

    def __call__(
        self, folder: Path, account: Account, *, providers: int = 1
    ) -> AbstractAsyncContextManager[Candidate]:
        """Start it.

        Args:
            folder: an empty one of its own.
            account: the upstream account that it asks.
            providers: how many cards it shows.
        """


@asynccontextmanager
async def _empty(folder: Path, account: Account, *, providers: int = 1) -> AsyncIterator[Candidate]:
    del account, providers
    with servers.streamlit_run(servers.CANDIDATES / "empty.py", folder, {}) as server:
        yield Candidate("a", server)


@asynccontextmanager
async def _naive(folder: Path, account: Account, *, providers: int = 1) -> AsyncIterator[Candidate]:
    environment = {
        "BENCH_PROVIDERS": str(providers),
        "IMAI_API_BASE_URL": account.base_url,
        "IMAI_API_KEY": "bench",
    }
    with servers.streamlit_run(servers.CANDIDATES / "naive.py", folder, environment) as server:
        yield Candidate("d", server, account)


@asynccontextmanager
async def _floor(folder: Path, account: Account, *, providers: int = 1) -> AsyncIterator[Candidate]:
    del account, providers
    options = folder / ".streamlit" / "config.toml"
    options.parent.mkdir()
    options.write_text('[server]\nfileWatcherType = "none"\n', encoding="ascii")
    with servers.uvicorn_run("bench.candidates.floor:app", folder) as server:
        yield Candidate("e", server)


TITLES: Final = {
    "a": "an empty page under stock `streamlit run`",
    "b": "the panel's page as a plain script under stock `streamlit run`",
    "c": "the panel under `integrations serve`",
    "d": "the same card written the naive way under stock `streamlit run`",
    "e": "an empty page as `st.App` under uvicorn, without garbage and file watcher: the floor",
}
LAUNCHES: Final[dict[str, Launch]] = {
    "a": _empty,
    "b": panel.plain,
    "c": panel.served,
    "d": _naive,
    "e": _floor,
}
