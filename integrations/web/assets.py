"""Streamlit's browser files, compressed once and served from memory, and told to the browser early.

A first visit takes some 70 of them and 2.7 MB. Streamlit opens each from disk for each visitor and sends it as it is;
and it asks for the files of a button or a progress bar only when the first one is to be drawn.
"""

import fnmatch
import gzip
import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Final

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX: Final = "/static/"
_COMPRESSED_SUFFIXES: Final = frozenset({".js", ".css", ".svg", ".json"})
_NEEDED_SOON: Final = (
    "Button.*.js",
    "Progress.*.js",
    "ProgressBar.*.js",
    "PageLink.*.js",
    "Form.*.js",
    "TextInput.*.js",
)
"""The parts that Streamlit would ask for last: those of the sign-in and of a card."""
_IMMUTABLE: Final = "public, immutable, max-age=31536000"


@cache
def directory() -> Path:
    """Where Streamlit's browser files are."""
    spec = importlib.util.find_spec("streamlit")
    if spec is None or spec.origin is None:
        raise RuntimeError("Streamlit is not installed")
    return (Path(spec.origin).parent / "static").resolve()


@dataclass(frozen=True, slots=True)
class _Asset:
    plain: bytes
    compressed: bytes | None
    media_type: str


@cache
def _files() -> dict[str, Path]:
    """Every hashed file by its path below `static/`: what is not in here is not served from here."""
    folder = directory() / "static"
    # Later releases of Python leave out of `rglob` what they cannot read just then, and this list is kept for good.
    found = [Path(parent, name) for parent, _, names in os.walk(folder, onerror=_fail) for name in names]
    return {path.relative_to(folder).as_posix(): path for path in found}


def _fail(error: OSError) -> None:
    raise error


def _load(path: Path) -> _Asset:
    plain = path.read_bytes()
    compressed = gzip.compress(plain, 6, mtime=0) if path.suffix in _COMPRESSED_SUFFIXES else None
    return _Asset(plain, compressed, guess_type(path.name)[0] or "application/octet-stream")


@cache
def preload_links() -> str:
    """The value of a Link header (RFC 8288) that names what the page will need."""
    names = sorted(_files())
    scripts = [name for pattern in _NEEDED_SOON for name in fnmatch.filter(names, f"js/{pattern}")]
    fonts = fnmatch.filter(names, "media/MaterialSymbols-Rounded.*.woff2")
    links = [f"<./static/{name}>; rel=modulepreload" for name in scripts]
    links += [f"<./static/{name}>; rel=preload; as=font; crossorigin" for name in fonts]
    return ", ".join(links)


class Assets:
    """Answers for Streamlit's hashed files, and adds the hints to the page itself; passes on all else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loaded: dict[Path, _Asset] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file from memory, or pass the request on."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(_PREFIX):
            file = _files().get(path.removeprefix(_PREFIX))
            if file is not None:
                await _response(await self._load(file), Headers(scope=scope))(scope, receive, send)
                return
        await self._app(scope, receive, _with_hints(send) if path in {"", "/"} else send)

    async def _load(self, file: Path) -> _Asset:
        if file not in self._loaded:
            self._loaded[file] = await anyio.to_thread.run_sync(_load, file)
        return self._loaded[file]


def _response(asset: _Asset, headers: Headers) -> Response:
    own = {"Cache-Control": _IMMUTABLE, "Vary": "Accept-Encoding"}
    if asset.compressed is not None and "gzip" in headers.get("accept-encoding", ""):
        return Response(
            asset.compressed, headers={**own, "Content-Encoding": "gzip"}, media_type=asset.media_type
        )
    return Response(asset.plain, headers=own, media_type=asset.media_type)


def _with_hints(send: Send) -> Send:
    async def send_with_hints(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Link"] = preload_links()
        await send(message)

    return send_with_hints
