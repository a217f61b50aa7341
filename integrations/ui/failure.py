"""What the page shows where its own code fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

SENTENCE = "Something went wrong. Please try again."
log = logging.getLogger(__name__)


def show(_error: Exception) -> bool:
    """One sentence in the error's place; True, so that Streamlit, which has logged it, shows nothing of it."""
    st.error(SENTENCE, icon=":material/error:")
    return True


@contextmanager
def contained(name: str) -> Iterator[None]:
    """Show the sentence for what fails to be drawn in here, and go on with the rest of the page.

    What ends a run on purpose, as `st.rerun` does, is no `Exception` and goes its way.

    Args:
        name: of the card, for the log.
    """
    try:
        yield
    except Exception as error:
        log.exception("The card of %s could not be drawn", name)
        show(error)
