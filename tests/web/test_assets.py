"""Streamlit's browser files from memory."""

import gzip
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from integrations.web import assets
from integrations.web.headers import SecurityHeadersMiddleware
from tests.support.processes import run_async

Get = Callable[..., tuple[int, Headers, bytes]]
JS = next((assets.directory() / "static" / "js").glob("index.*.js"))


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything with one word, as the app behind the middleware."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"elsewhere"})


@pytest.fixture
def get() -> Get:
    """Return a function that sends a request to the middleware."""
    app = assets.AssetsMiddleware(elsewhere)

    def ask(path: str, *, method: str = "GET", encoding: str = "gzip") -> tuple[int, Headers, bytes]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        headers = [(b"accept-encoding", encoding.encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        run_async(app(scope, receive, send))
        return sent[0]["status"], Headers(raw=sent[0]["headers"]), b"".join(part["body"] for part in sent[1:])

    return ask


def test_a_script_is_sent_compressed_and_cached_for_a_year(get: Get) -> None:
    """A hashed file never changes; without gzip in Accept-Encoding it comes uncompressed."""
    status, headers, body = get(f"/static/js/{JS.name}")
    assert status == 200
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "public, immutable, max-age=31536000"
    assert "javascript" in headers["content-type"]
    assert gzip.decompress(body) == JS.read_bytes()
    assert len(body) < len(JS.read_bytes()) / 2
    _, headers, body = get(f"/static/js/{JS.name}", encoding="identity")
    assert "content-encoding" not in headers
    assert headers["vary"] == "Accept-Encoding"
    assert body == JS.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/static/js/absent.js",
        "/static/../index.html",
        "/static/js/../../index.html",
        "/static//etc/passwd",
        "/static/absent.js",
        "/static/",
    ],
)
def test_an_unknown_file_is_404(get: Get, path: str) -> None:
    """Only names in Streamlit's own folder are served, and never the page in their place."""
    for method in ("GET", "HEAD"):
        status, headers, body = get(path, method=method)
        assert (status, body) == (404, b"")
        assert "cache-control" not in headers


def test_other_paths_and_methods_are_left_to_streamlit(get: Get) -> None:
    """The middleware answers GET and HEAD of files alone."""
    assert get("/_stcore/health")[2] == b"elsewhere"
    assert get(f"/static/js/{JS.name}", method="POST")[2] == b"elsewhere"


def test_the_page_preloads_the_files_of_the_card_and_the_form(get: Get) -> None:
    """The Link header of the page, and of nothing else, names existing files."""
    _, headers, _ = get("/")
    for part in ("Button.", "Progress.", "PageLink.", "TextInput.", "MaterialSymbols-Rounded."):
        assert f"/{part}" in headers["link"]
    for link in headers["link"].split(", "):
        name = link[len("<./static/") : link.index(">")]
        assert (assets.directory() / "static" / Path(name)).is_file()
    assert "link" not in get("/_stcore/health")[1]


def test_the_page_holds_our_style_sheet_and_the_policy_allows_its_scripts_alone(get: Get) -> None:
    """The page is compressed and never cached; the policy has the hash of each inline script."""
    _, headers, body = get("/")
    page = gzip.decompress(body).decode()
    assert headers["cache-control"] == "no-cache"
    assert "<title>Integrations</title>" in page
    assert ".st-key-cards" in page.partition("<style>")[2].partition("</style>")[0]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert any("aria-valuetext" in script for script in scripts)
    hashes = {f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts}
    sent = SecurityHeadersMiddleware(elsewhere)._headers["Content-Security-Policy"]
    policy = dict(part.split(" ", 1) for part in sent.split("; "))
    assert set(policy["script-src"].split()) == {"'self'", *hashes}


def test_a_changed_page_of_streamlit_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise our style sheet would be missing without an error."""
    (tmp_path / "index.html").write_text("<html></html>")
    monkeypatch.setattr(assets, "directory", lambda: tmp_path)
    with pytest.raises(RuntimeError, match="does not hold <title>"):
        assets.index.__wrapped__()
