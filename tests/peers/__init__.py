"""The panel with the programs that stand beside it, each the real one. Run by `make test-peers`."""
