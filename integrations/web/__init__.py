"""What the server answers beside the page."""
