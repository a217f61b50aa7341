"""The routes and middleware of the server, next to Streamlit's own."""
