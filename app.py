"""The page when Streamlit runs this file, and the ASGI app when a server imports it."""

import logging

import streamlit as st

if __name__ == "__main__":
    from integrations.ui import page

    page.draw()
else:
    from integrations import checks
    from integrations.ui import failure
    from integrations.web import server

    try:
        checks.prepare()
    except checks.StartError as error:
        logging.getLogger("integrations").error("Not started: %s", "; ".join(str(error).splitlines()))
        raise SystemExit(1) from None
    app = st.App(
        __file__,
        routes=server.ROUTES,
        middleware=server.MIDDLEWARE,
        lifespan=server.lifespan,
        on_script_error=failure.show,
    )
