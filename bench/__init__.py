"""The benchmark: candidates served side by side on this machine and measured from outside.

`python -m bench` prints the table. `tests.support.viewer` speaks Streamlit's websocket protocol, `bench.chromium`
drives a browser, and no figure is taken from inside a server.
"""
