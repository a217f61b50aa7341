"""Providers without Python: a definition states the request and the places of the figures."""
