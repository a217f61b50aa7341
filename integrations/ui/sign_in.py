"""The sign-in: streamlit-authenticator's form, our check behind it, and the exchange of the ticket."""

from collections.abc import Callable
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import streamlit as st

from integrations.access import SignInRefused, auth
from integrations.ui import viewer

_TICKET: Final = "sign-in ticket"
_NOTE: Final = "sign-in note"
_WRONG_ATTEMPTS: Final = "wrong attempts"
_IS_SIGNED_IN: Final = "signed in"

_REFUSED_COOKIE: Final = (
    "Your browser did not keep the session cookie, so you are not logged in. Allow cookies for this site. "
    "Over plain HTTP some browsers keep none that is marked Secure: use HTTPS."
)
_EXPIRED_TICKET: Final = "The login could not be completed. Please try again."
_NOTES: Final = {"refused": _REFUSED_COOKIE, "unavailable": str(SignInRefused.UNAVAILABLE)}
"""What to say of the outcomes that session.js tells; of any other, that it expired."""
_RETRY_SECONDS: Final = 10
"""How often a page where nobody could sign in looks whether somebody can now."""
_WIDTH: Final = 400
"""Pixels of the form; less on a phone."""
_AUTOCOMPLETE: Final = {"Username": "username", "Password": "current-password"}


class _Form:
    """What the library draws its form with, so that it is narrow, begins with an h1 and is known to password managers.

    The library switches off the browser's autocomplete, where WCAG 2.2, 1.3.5 asks for the purpose of each field.
    """

    def __init__(self, key: str, *, clear_on_submit: bool) -> None:
        self._form = st.form(key, clear_on_submit=clear_on_submit, width=_WIDTH)

    def subheader(self, title: str) -> None:
        self._form.title(title, anchor=False)
        self._form.caption("Integrations Usage Panel")

    def text_input(self, label: str, **options: Any) -> str:
        return str(self._form.text_input(label, **{**options, "autocomplete": _AUTOCOMPLETE[label]}))

    def form_submit_button(self, label: str) -> bool:
        return self._form.form_submit_button(label, type="primary", width="stretch")


class _Streamlit(ModuleType):
    """Streamlit as the library's form sees it."""

    form = _Form

    def __getattr__(self, name: str) -> object:
        return getattr(st, name)


@cache
def _form_class() -> Any:
    """streamlit-authenticator's sign-in form, imported late because it is heavy.

    The library's constructor is left out: it would mount a component that sets a cookie from JavaScript, read
    whatever cookie a browser brings as a token, and keep a copy of who is signed in. Here the form asks for a name
    and a password and hands them on.
    """
    import streamlit_authenticator
    from streamlit_authenticator.views import authentication_view

    authentication_view.st = _Streamlit("streamlit")

    class SignInForm(streamlit_authenticator.Authenticate):  # type: ignore[misc]
        def __init__(self, on_submit: Callable[..., bool]) -> None:
            self.attrs = {"login_sleep_time": 0}
            self.path = None
            self.cookie_controller = SimpleNamespace(get_cookie=lambda: None)
            self.authentication_controller = SimpleNamespace(login=on_submit)

    return SignInForm


@cache
def _exchange() -> Any:
    return st.components.v2.component("integrations.browser", js="session.js")


def warm_up() -> None:
    """Import what the form needs, so that the first visitor does not wait for it."""
    _form_class()


def draw() -> None:
    """The form, or the exchange that follows the right password; nothing else."""
    if ticket := st.session_state.get(_TICKET):
        _draw_exchange(ticket)
        return
    if (obstacle := auth().sign_in_blocker()) is not None:
        draw_unavailable(obstacle)
        return
    with st.container(key="sign-in", horizontal_alignment="center"):
        message = _draw_form()
        if st.session_state.get(_TICKET):
            st.rerun()
        if message is not None:
            st.error(message, icon=":material/error:", width=_WIDTH)
        elif st.session_state.pop(_IS_SIGNED_IN, False):
            st.info("Your session has ended. Please log in again.", icon=":material/info:", width=_WIDTH)


def remember(*, is_signed_in: bool) -> None:
    """Remember on this page whether somebody is signed in, so that the form can tell that a session has ended."""
    st.session_state[_IS_SIGNED_IN] = is_signed_in


def draw_unavailable(obstacle: SignInRefused = SignInRefused.UNAVAILABLE) -> None:
    """That nobody can sign in now, in the form's place, until somebody can."""
    with st.container(key="sign-in", horizontal_alignment="center"):
        st.error(str(obstacle), icon=":material/lock:", width=_WIDTH)
    _look_again(obstacle)


@st.fragment(run_every=_RETRY_SECONDS)
def _look_again(obstacle: SignInRefused) -> None:
    # Not in the run that has just found it: where only something else fails, that would go on and on.
    if not viewer.is_full_run() and auth().sign_in_blocker() is not obstacle:
        st.rerun()


def _draw_form() -> str | None:
    """The form; gives what to tell the person after an attempt that failed."""
    submitted: list[tuple[str, str]] = []

    def submit(name: str, password: str, *_: object, **__: object) -> bool:
        submitted.append((name, password))
        return False  # the library keeps nothing of its own: who is signed in is known by the session's cookie alone

    st.session_state.pop("authentication_status", None)  # where it is true the library draws no form
    _form_class()(submit).login()
    if not submitted:
        return _take_note()
    name, password = submitted[0]
    if not name or not password:  # a slip, and not one of the five attempts
        return "Enter your username and password."
    outcome = auth().sign_in(name, password, client=viewer.client())
    if outcome is SignInRefused.WRONG:
        count = st.session_state[_WRONG_ATTEMPTS] = st.session_state.get(_WRONG_ATTEMPTS, 0) + 1
        return str(outcome) if count == 1 else f"{outcome.removesuffix('.')} (attempt {count})."
    if isinstance(outcome, SignInRefused):
        return str(outcome)
    st.session_state[_TICKET] = outcome
    return None


def _take_note() -> str | None:
    note = st.session_state.pop(_NOTE, None)
    return str(note) if note else None


def _draw_exchange(ticket: str) -> None:
    st.caption("Logging in …")
    outcome = _exchange()(data={"ticket": ticket}, on_outcome_change=lambda: None, key="exchange").outcome
    if outcome is not None:
        del st.session_state[_TICKET]
        st.session_state[_NOTE] = _NOTES.get(outcome, _EXPIRED_TICKET)
        st.rerun()
