"""A provider in Python that is not shipped: the example of `docs/adding-a-provider.md`."""
