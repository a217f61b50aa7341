"""The benchmark: the panel next to an empty page of stock Streamlit, measured from outside."""
