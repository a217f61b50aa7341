"""Serves the page and Streamlit's browser files from memory, compressed, with preload hints.

A first visit loads some 70 files, 2.7 MB. Streamlit reads each from disk for each visitor, uncompressed, and requests
the scripts of a button or a progress bar only when the first one is drawn.

The page is Streamlit's index.html with our style sheet and script in its head: there they cost no element and no
request, and are ready before anything is drawn.
"""

import fnmatch
import gzip
import importlib.util
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

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
"""The scripts that Streamlit would request last: those of the sign-in and of a card."""
_IMMUTABLE: Final = "public, immutable, max-age=31536000"
_REVALIDATE: Final = "no-cache"
_UI: Final = Path(__file__).resolve().parent.parent / "ui"


@cache
def directory() -> Path:
    """Return the folder of Streamlit's browser files."""
    spec = importlib.util.find_spec("streamlit")
    if spec is None or spec.origin is None:
        raise RuntimeError("Streamlit is not installed")
    return (Path(spec.origin).parent / "static").resolve()


@cache
def index() -> str:
    """Return Streamlit's page with our title, icon, style sheet and script.

    Raises:
        RuntimeError: this release of Streamlit has another page.
    """
    icon = b64encode((_UI / "images" / "icon.png").read_bytes()).decode()
    style = (_UI / "browser" / "panel.css").read_text(encoding="utf-8").replace("ICON", icon)
    script = (_UI / "browser" / "panel.js").read_text(encoding="utf-8")
    page = (directory() / "index.html").read_text(encoding="utf-8")
    for theirs, ours in (
        ("<title>Streamlit</title>", "<title>Integrations</title>"),
        # A browser that translates replaces the texts, and Streamlit then updates what is no longer shown.
        ('<html lang="en">', '<html lang="en" translate="no">'),
        ('href="./favicon.png"', f'href="data:image/png;base64,{icon}"'),
        ("</head>", f"<style>{style}</style><script>{script}</script></head>"),
    ):
        if page.count(theirs) != 1:
            raise RuntimeError(f"Streamlit's index.html does not hold {theirs} once")
        page = page.replace(theirs, ours)
    return page


@dataclass(frozen=True, slots=True)
class _Asset:
    plain: bytes
    compressed: bytes | None
    media_type: str
    headers: Mapping[str, str]


@cache
def _files() -> dict[str, Path]:
    """Return the hashed files that are served, by their path below `static/`."""
    folder = directory() / "static"
    # Unlike `rglob`, `walk` reports a folder that it cannot read; the list is kept for the life of the process.
    found = [Path(parent, name) for parent, _, names in os.walk(folder, onerror=_fail) for name in names]
    return {path.relative_to(folder).as_posix(): path for path in found}


def _fail(error: OSError) -> None:
    raise error


def _load(path: Path) -> _Asset:
    plain = path.read_bytes()
    compressed = gzip.compress(plain, 6, mtime=0) if path.suffix in _COMPRESSED_SUFFIXES else None
    media_type = guess_type(path.name)[0] or "application/octet-stream"
    return _Asset(plain, compressed, media_type, {"Cache-Control": _IMMUTABLE})


@cache
def _page() -> _Asset:
    plain = index().encode()
    headers = {"Cache-Control": _REVALIDATE, "Link": preload_links()}
    return _Asset(plain, gzip.compress(plain, 6, mtime=0), "text/html", headers)


@cache
def preload_links() -> str:
    """Return a Link header (RFC 8288) that names what the page will need."""
    names = sorted(_files())
    scripts = [name for pattern in _NEEDED_SOON for name in fnmatch.filter(names, f"js/{pattern}")]
    fonts = fnmatch.filter(names, "media/MaterialSymbols-Rounded.*.woff2")
    links = [f"<./static/{name}>; rel=modulepreload" for name in scripts]
    links += [f"<./static/{name}>; rel=preload; as=font; crossorigin" for name in fonts]
    return ", ".join(links)


class AssetsMiddleware:
    """Serves the page and Streamlit's hashed files, with 404 for an unknown file; passes on everything else.

    Streamlit itself would answer with the page instead of 404.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loaded: dict[Path, _Asset] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve from memory, or pass the request on."""
        answer: ASGIApp | None = None
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            answer = await self._answer(path, Headers(scope=scope))
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, path: str, headers: Headers) -> Response | None:
        if path in {"", "/"}:
            return _response(_page(), headers)
        if not path.startswith(_PREFIX):
            return None
        file = _files().get(path.removeprefix(_PREFIX))
        if file is None:
            return Response(status_code=404)
        if file not in self._loaded:
            self._loaded[file] = await anyio.to_thread.run_sync(_load, file)
        return _response(self._loaded[file], headers)


def _response(asset: _Asset, headers: Headers) -> Response:
    own = {**asset.headers, "Vary": "Accept-Encoding"}
    if asset.compressed is not None and "gzip" in headers.get("accept-encoding", ""):
        return Response(
            asset.compressed, headers={**own, "Content-Encoding": "gzip"}, media_type=asset.media_type
        )
    return Response(asset.plain, headers=own, media_type=asset.media_type)
