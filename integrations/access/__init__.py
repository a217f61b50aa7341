"""Who may see the panel: the one check for the page, its callbacks and the endpoint."""

from integrations.access.authenticator import Authenticator, Denial, Principal, SignInRefused, auth
from integrations.access.permissions import INTEGRATION_READ

__all__ = ["INTEGRATION_READ", "Authenticator", "Denial", "Principal", "SignInRefused", "auth"]
