"""The sign-in: streamlit-authenticator's form, our check behind it, and the exchange of the ticket."""

import sys
from functools import cache
from types import ModuleType
from typing import Any, Final

import streamlit as st

from integrations.access import SignInRefused, auth

_TICKET: Final = "sign-in ticket"
_NOTE: Final = "sign-in note"
_SUBMITTED: Final = "FormSubmitter:Login-Login"
_AUTHENTICATOR_KEYS: Final = ("name", "authentication_status", "username", "email", "roles", "logout")

_REFUSED_COOKIE: Final = (
    "Your browser did not keep the session cookie, so you are not signed in. Allow cookies for this site. "
    "Over plain HTTP some browsers keep none that is marked Secure: use HTTPS."
)
_EXPIRED_TICKET: Final = "The sign-in could not be completed. Please try again."


@cache
def _authenticate_class() -> Any:  # noqa: ANN401 - the library ships no types
    """streamlit-authenticator's class, imported late because it is heavy, and without its cookie component.

    That component would draw an iframe and set a cookie from JavaScript; ours is HttpOnly and set by the server.
    """
    stand_in = ModuleType("extra_streamlit_components")
    vars(stand_in)["CookieManager"] = lambda: None
    sys.modules[stand_in.__name__] = stand_in
    import streamlit_authenticator  # noqa: PLC0415

    return streamlit_authenticator.Authenticate


@cache
def _exchange() -> Any:  # noqa: ANN401 - Streamlit's own type of a mounted component
    return st.components.v2.component("integrations.browser", js="session.js")


def warm_up() -> None:
    """Import what the form needs, so that the first visitor does not wait for it."""
    _authenticate_class()


def draw() -> None:
    """The form, or the exchange that follows the right password; nothing else."""
    if ticket := st.session_state.get(_TICKET):
        _draw_exchange(ticket)
        return
    if not auth().available():
        st.error(str(SignInRefused.UNAVAILABLE), icon=":material/lock:")
        return
    message = _draw_form()
    if st.session_state.get(_TICKET):
        st.rerun()
    if message is not None:
        st.error(message, icon=":material/error:")


def _draw_form() -> str | None:
    """The form; gives what to tell the person after an attempt that failed."""
    refusals: list[SignInRefused] = []

    def check(name: str, password: str) -> bool:
        if not name or not password:  # a slip, and not one of the five attempts
            return False
        outcome = auth().sign_in(name, password)
        if isinstance(outcome, SignInRefused):
            refusals.append(outcome)
        else:
            st.session_state[_TICKET] = outcome
        return False  # the library keeps nothing of its own: who is signed in is known by the cookie alone

    _forget_the_library_s_state()
    authenticator = _authenticate_class()(
        {"usernames": {}},
        cookie_name="unused",
        cookie_key="unused",
        cookie_expiry_days=0,
        auto_hash=False,
        login_sleep_time=0,
    )
    authenticator.authentication_controller.authentication_model.check_credentials = check
    authenticator.login()
    submitted = bool(st.session_state.get(_SUBMITTED))
    _forget_the_library_s_state()
    if refusals:
        return str(refusals[0])
    if submitted and not st.session_state.get(_TICKET):
        return "Enter your username and password."
    return _take_note()


def _forget_the_library_s_state() -> None:
    for key in _AUTHENTICATOR_KEYS:
        st.session_state.pop(key, None)


def _take_note() -> str | None:
    note = st.session_state.pop(_NOTE, None)
    return str(note) if note else None


def _draw_exchange(ticket: str) -> None:
    st.caption("Signing in …")
    outcome = _exchange()(data={"ticket": ticket}, on_outcome_change=lambda: None, key="exchange").outcome
    if outcome is not None:
        del st.session_state[_TICKET]
        st.session_state[_NOTE] = _REFUSED_COOKIE if outcome == "refused" else _EXPIRED_TICKET
        st.rerun()
