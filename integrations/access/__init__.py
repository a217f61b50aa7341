"""Who may see the panel: the one door for the page, its callbacks and the endpoint."""

from integrations.access.gate import Access, Denial, SignInRefused, Viewer, access
from integrations.access.permissions import INTEGRATION_READ
from integrations.access.store import StoreError

__all__ = ["INTEGRATION_READ", "Access", "Denial", "SignInRefused", "StoreError", "Viewer", "access"]
