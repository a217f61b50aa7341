"""Providers that need no Python: a definition says how to ask and where the figures stand."""
