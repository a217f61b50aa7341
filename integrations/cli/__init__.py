"""The command `integrations`."""
