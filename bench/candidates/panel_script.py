"""Candidate `script`: the panel's page as a plain script, without `st.App` and all that comes with it.

Without `st.App` there is no route where a browser could exchange its sign-in ticket. So the first run signs somebody in
here, and writes the `Cookie` header to a file.
"""

import os
from pathlib import Path

import streamlit as st

from integrations import checks
from integrations.access import auth
from integrations.ui import page


@st.cache_resource(show_spinner=False)
def sign_in() -> None:
    """Once a process; Streamlit runs this file anew each time, and functools.cache would begin anew with it."""
    checks.prepare()
    ticket = str(auth().sign_in("alice", os.environ["BENCH_PASSWORD"]))
    cookie = f"{auth().cookie_name}={auth().redeem(ticket)}"
    Path(os.environ["BENCH_COOKIE_FILE"]).write_text(cookie, encoding="ascii")


sign_in()
page.draw()
