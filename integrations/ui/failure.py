"""What the page shows where its own code fails."""

import streamlit as st

SENTENCE = "Something went wrong. Please try again."


def show(_error: Exception) -> bool:
    """One sentence in the error's place; True, so that Streamlit, which has logged it, shows nothing of it."""
    st.error(SENTENCE, icon=":material/error:")
    return True
