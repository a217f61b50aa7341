"""Candidate `app`: the line of `empty` as an `st.App` under uvicorn, its garbage frozen: as fast as Streamlit gets."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

if __name__ == "__main__":
    st.write("Remaining: 7,500 credits")
else:

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
        """Spare what is imported from every later collection."""
        gc.collect()
        gc.freeze()
        yield {}

    app = st.App(__file__, lifespan=lifespan)
