"""An empty page, one line: what stock Streamlit needs for it is the measure."""

import streamlit as st

st.write("Remaining: 7,500 credits")
