"""A viewer of a Streamlit page without a browser: speaks the websocket protocol of Streamlit's frontend."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext
from types import TracebackType
from typing import Final, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin, Subprotocol

from tests.support.screen import Item, Screen

_NO_TOKEN: Final = "PLACEHOLDER_AUTH_TOKEN"
_FINISHED: Final = frozenset(
    {ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY}
)


class ViewerError(Exception):
    """The page failed: an exception on it, a script that does not compile, a lost connection, or no end in time."""


class Viewer:
    """One browser tab.

    Every action returns the seconds from its start to the message that ended it: the time that a person waits for the
    server. Actions run one after the other, in one task.

    Args:
        url: of the page, without a final slash: `http://127.0.0.1:8501`.
        cookie: the value of the `Cookie` header of a signed-in session.
        timeout: seconds after which an action fails.
        tls: the authorities to trust; by default those of the system.
    """

    def __init__(
        self, url: str, cookie: str | None = None, *, timeout: float = 120, tls: SSLContext | None = None
    ) -> None:
        self.screen = Screen()
        self._url, self._cookie, self._timeout, self._tls = url, cookie, timeout, tls
        self._socket: ClientConnection | None = None
        self._asked = time.perf_counter()
        self._turn = 0
        self._page = ""
        self._awaited = ""  # the fragment of the requested run; empty for the whole page
        self._run: str | None = None  # id of the run that answers the last action, after its start
        self._fragments: frozenset[str] = frozenset()  # of that run; empty for the whole page
        self._finished = False
        self._widgets: dict[str, WidgetState] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the tab."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def open(self) -> None:
        """Connect and request the page, without waiting for it."""
        if self._socket is not None:
            raise ViewerError("already connected")
        self._asked = time.perf_counter()
        try:
            self._socket = await connect(
                f"{self._url.replace('http', 'ws', 1)}/_stcore/stream",
                ssl=self._tls,
                origin=Origin(self._url),
                subprotocols=[Subprotocol("streamlit"), Subprotocol(_NO_TOKEN)],
                additional_headers={"Cookie": self._cookie} if self._cookie else None,
                proxy=None,
                open_timeout=self._timeout,
                ping_interval=None,  # browsers send none
                max_size=None,
                max_queue=None,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise ViewerError(f"no connection: {error!r}") from error
        await self._ask(began=self._asked)

    async def first_visit(self) -> float:
        """Connect, request the page, and wait until its script has finished."""
        await self.open()
        return await self.finished()

    async def rerun(self) -> float:
        """Run the whole page again, and wait until its script has finished."""
        await self._ask()
        return await self.finished()

    async def click(self, label: str) -> float:
        """Press the first button with this label, and wait until the run has finished."""
        await self.press(label)
        return await self.finished()

    async def press(self, label: str) -> None:
        """Press the first button with this label, without waiting for the run."""
        button = self.find("button", label)
        trigger = WidgetState(id=button.content.id, trigger_value=True)
        await self._ask(fragment=button.fragment, trigger=trigger)

    async def sign_in(self, user: str, password: str) -> str:
        """Sign in as a browser does, by form, ticket and exchange; return the `Cookie` header of the session."""
        self.fill("Username", user)
        self.fill("Password", password)
        await self.click("Login")
        ticket = json.loads(self.find("bidi_component").content.json)["ticket"]
        return await asyncio.to_thread(exchange, self._url, ticket)

    def fill(self, label: str, text: str) -> None:
        """Type into a text input. The next action sends the text, as in a form."""
        widget = self.find("text_input", label).content.id
        self._widgets[widget] = WidgetState(id=widget, string_value=text)

    def find(self, kind: str, label: str | None = None) -> Item:
        """Return the first element of this kind, and of this label if there is one.

        Raises:
            ViewerError: no such element.
        """
        for item in self.screen.items():
            if item.kind == kind and (label is None or item.content.label == label):
                return item
        raise ViewerError(f"no {kind} {label or ''} on the page, which reads {self.texts()}")

    def texts(self) -> list[str]:
        """Return all texts on the page, from top to bottom."""
        return self.screen.texts()

    async def until(self, text: str) -> float:
        """Wait until the answer to the last action shows the text, even if its script is still running."""
        return await self._receive_until(
            lambda: self.screen.shows(text, since=self._turn), f"{text!r} on the page"
        )

    async def finished(self) -> float:
        """Wait until the run that answers the last action has finished."""
        return await self._receive_until(lambda: self._finished, "the end of the script")

    async def stay(self) -> None:
        """Receive messages until the connection is lost."""
        if self._socket is None:
            raise ViewerError("not connected")
        with suppress(WebSocketException):
            while True:
                self._apply(ForwardMsg.FromString(await self._socket.recv(decode=False)))

    async def _ask(
        self, *, fragment: str = "", trigger: WidgetState | None = None, began: float | None = None
    ) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.fragment_id = fragment
        state.page_script_hash = self._page
        state.context_info.timezone = "UTC"
        state.context_info.locale = "en-US"
        state.context_info.url = f"{self._url}/"
        state.context_info.color_scheme = "light"
        state.widget_states.widgets.extend(self._widgets.values())
        if trigger is not None:
            state.widget_states.widgets.append(trigger)
        self._turn += 1
        self._awaited, self._run, self._finished = fragment, None, False
        self._asked = time.perf_counter() if began is None else began
        if self._socket is None:
            raise ViewerError("not connected")
        await self._socket.send(message.SerializeToString())

    async def _receive_until(self, satisfied: Callable[[], bool], what: str) -> float:
        if self._socket is None:
            raise ViewerError("not connected")
        try:
            async with asyncio.timeout(self._timeout):
                while not satisfied():
                    self._apply(ForwardMsg.FromString(await self._socket.recv(decode=False)))
        except TimeoutError:
            raise ViewerError(f"no {what} within {self._timeout:g} s; it reads {self.texts()}") from None
        except WebSocketException as error:
            raise ViewerError(f"waiting for {what}: {error}") from error
        return time.perf_counter() - self._asked

    def _apply(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                self._begin(message)
            case "delta":
                place = tuple(message.metadata.delta_path)
                turn = self._turn if self._run is not None else self._turn - 1  # of the run before
                item = self.screen.apply(place, message.delta, turn)
                if item is not None and item.kind == "exception":
                    raise ViewerError(f"{item.content.type}: {item.content.message}")
            case "script_finished":
                self._end(message)
            case "ref_hash":
                raise ViewerError("the server refers to a message that this viewer does not cache")

    def _begin(self, message: ForwardMsg) -> None:
        """Note the start of a run, if it answers the last action or follows from it by `st.rerun`."""
        fragments = frozenset(message.metadata.run.fragment_ids)
        asked_for = self._awaited in fragments if self._awaited else not fragments
        if self._run is not None or asked_for:
            self._run, self._fragments = message.metadata.run.script_run_id, fragments
            self._page = message.new_session.page_script_hash

    def _end(self, message: ForwardMsg) -> None:
        if self._run is None or message.metadata.run.script_run_id != self._run:
            return  # the end of an earlier run
        if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return  # the next run follows automatically
        if message.script_finished not in _FINISHED:
            raise ViewerError("the page's script does not compile")
        self.screen.drop_stale(self._turn, self._fragments)
        self._finished = True


def exchange(url: str, ticket: str) -> str:
    """Exchange a sign-in ticket for the session's cookie, as the page's script does; return the `Cookie` header."""
    request = urllib.request.Request(
        f"{url}/integrations/session",
        data=json.dumps({"ticket": ticket}).encode(),
        headers={"Content-Type": "application/json", "Origin": url},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.headers["Set-Cookie"]).partition(";")[0]
