"""Candidate `naive`: the card written the naive way. No cache, no fragments, one provider after the other."""

import os

import requests
import streamlit as st

TOTAL = 10_000

st.title("Integrations")
st.sidebar.button("Refresh all")
for number in range(int(os.environ["BENCH_PROVIDERS"])):
    answer = requests.get(
        f"{os.environ['IMAI_API_BASE_URL']}/account/info/",
        headers={"authkey": os.environ["IMAI_API_KEY"]},
        timeout=10,
    )
    remaining = answer.json()["credits"]
    used = TOTAL - remaining
    with st.container(border=True):
        st.header(f":material/groups: IMAI {number + 1}")
        st.badge("Active", icon=":material/check:", color="green")
        st.subheader(f"Remaining: {remaining:,} credits")
        st.progress(used / TOTAL, text=f"{used / TOTAL:.0%}")
        st.text(f"Used: {used:,} / {TOTAL:,} credits")
        st.caption("Updated just now")
        st.button("Refresh", key=f"refresh-{number}")
