"""The benchmark: the panel beside an empty page of stock Streamlit, measured from outside."""
