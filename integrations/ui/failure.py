"""What the page shows if its own code fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

SENTENCE = "Something went wrong. Please try again."
log = logging.getLogger(__name__)


def show(_error: Exception) -> bool:
    """Show one sentence; return True so that Streamlit, which has logged the error, shows nothing of it."""
    st.error(SENTENCE, icon=":material/error:")
    return True


@contextmanager
def render_errors_inline(name: str) -> Iterator[None]:
    """Show the sentence if the block fails, and go on with the rest of the page.

    `st.rerun` and its kind are no `Exception` and pass through.

    Args:
        name: of the card, for the log.
    """
    try:
        yield
    except Exception as error:
        log.exception("The card of %s could not be drawn", name)
        show(error)
