"""Fetches the providers' figures and shares them among all viewers and processes."""
