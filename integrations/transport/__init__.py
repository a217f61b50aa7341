"""One call over HTTP to a provider: the only importer of requests."""
