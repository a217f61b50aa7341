"""Integrations Usage Panel: how much of each external API's quota is left."""
