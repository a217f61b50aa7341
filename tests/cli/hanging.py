"""The panel, of which `GET /hang` stops the event loop; its process's other threads go on."""

import time

from starlette.types import Receive, Scope, Send

from integrations.app import app as panel


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hang, or serve."""
    if scope["type"] == "http" and scope["path"] == "/hang":
        time.sleep(3600)  # noqa: ASYNC251 - that is how it hangs
    await panel(scope, receive, send)
