"""Candidate `empty`: a page with one line on it."""

import streamlit as st

st.write("Remaining: 7,500 credits")
