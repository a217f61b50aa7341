"""Streamlit's browser files from memory."""

import gzip
import re
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from integrations.web import assets
from integrations.web.headers import SecurityHeadersMiddleware

Get = Callable[..., tuple[int, Headers, bytes]]
JS = next((assets.directory() / "static" / "js").glob("index.*.js"))


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind: answers everything with its own word."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"elsewhere"})


@pytest.fixture
def get() -> Get:
    """GET a path from the middleware."""
    app = assets.AssetsMiddleware(elsewhere)

    def ask(path: str, *, method: str = "GET", encoding: str = "gzip") -> tuple[int, Headers, bytes]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        headers = [(b"accept-encoding", encoding.encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        with ThreadPoolExecutor() as pool:  # in a thread of its own: Playwright keeps a loop in the main one
            pool.submit(anyio.run, app, scope, receive, send).result()
        return sent[0]["status"], Headers(raw=sent[0]["headers"]), b"".join(part["body"] for part in sent[1:])

    return ask


def test_a_script_is_sent_compressed_and_may_be_kept_for_a_year(get: Get) -> None:
    """A hashed file never changes, so the browser keeps it; on the way it is a third of its size."""
    status, headers, body = get(f"/static/js/{JS.name}")
    assert status == 200
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "public, immutable, max-age=31536000"
    assert "javascript" in headers["content-type"]
    assert gzip.decompress(body) == JS.read_bytes()
    assert len(body) < len(JS.read_bytes()) / 2


def test_a_client_that_cannot_decompress_gets_the_plain_file(get: Get) -> None:
    """Without gzip in Accept-Encoding the file comes as it is, and caches are told that this varies."""
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
def test_what_is_not_among_the_files_is_404(get: Get, path: str) -> None:
    """Only names from Streamlit's own folder are served; anything else there is never answered with the page."""
    for method in ("GET", "HEAD"):
        status, headers, body = get(path, method=method)
        assert (status, body) == (404, b"")
        assert "cache-control" not in headers


def test_what_is_not_below_static_is_left_to_streamlit(get: Get) -> None:
    """It answers for itself."""
    assert get("/_stcore/health")[2] == b"elsewhere"


def test_other_methods_are_left_to_streamlit(get: Get) -> None:
    """A POST to a file is not ours to answer."""
    assert get(f"/static/js/{JS.name}", method="POST")[2] == b"elsewhere"


def test_the_page_names_the_files_that_the_card_and_the_form_need(get: Get) -> None:
    """The Link header of the page, and of nothing else, names files that are really there."""
    _, headers, _ = get("/")
    for part in ("Button.", "Progress.", "PageLink.", "TextInput.", "MaterialSymbols-Rounded."):
        assert f"/{part}" in headers["link"]
    for link in headers["link"].split(", "):
        name = link[len("<./static/") : link.index(">")]
        assert (assets.directory() / "static" / Path(name)).is_file()
    assert "link" not in get("/_stcore/health")[1]


def test_the_page_holds_our_style_sheet_and_script_and_the_policy_allows_no_other(get: Get) -> None:
    """In the page itself, compressed, asked for anew each time; each inline script is named in the policy by hash."""
    _, headers, body = get("/")
    page = gzip.decompress(body).decode()
    assert headers["cache-control"] == "no-cache"
    assert "<title>Integrations</title>" in page
    assert ".st-key-cards" in page.partition("<style>")[2].partition("</style>")[0]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert any("aria-valuetext" in script for script in scripts)
    hashes = {f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts}
    policy = dict(
        part.split(" ", 1) for part in headers_of_the_panel()["Content-Security-Policy"].split("; ")
    )
    assert set(policy["script-src"].split()) == {"'self'", *hashes}


def headers_of_the_panel() -> dict[str, str]:
    """What every answer of the panel carries."""
    return SecurityHeadersMiddleware(elsewhere)._headers


def test_a_page_of_streamlit_s_that_is_not_as_it_was_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its end of the head our style sheet would silently be left out."""
    (tmp_path / "index.html").write_text("<html></html>")
    monkeypatch.setattr(assets, "directory", lambda: tmp_path)
    with pytest.raises(RuntimeError, match="does not hold <title>"):
        assets.index.__wrapped__()
