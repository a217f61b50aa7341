"""DeclaredProvider providers for tests: a service of our own, asked at a server of the test."""

from typing import Any

from integrations.files import yaml_file
from integrations.providers.declared.definition import Definition
from integrations.providers.declared.provider import DeclaredAccount, DeclaredProvider

VARIABLE = "ACME_API_KEY"
HEADER = '{header: Authorization, prefix: "Bearer "}'
QUERY = "{query: api_key}"
GOOD = b'{"data": {"used": 12.5, "limit": 50}}'

_ACME = """
label: Acme
icon: ":material/payments:"
request:
  url: URL/v1/usage
  key: KEY
quotas:
  - {unit: USD, used: data.used, total: data.limit}
"""


def definition(text: str) -> Definition:
    """A definition from its YAML."""
    return Definition.model_validate(yaml_file.load(text).value)


def acme(url: str, key: str = HEADER, *, request: str = "", **account: Any) -> DeclaredProvider:
    """Acme at this server.

    Args:
        url: the server's.
        key: the place of the key.
        request: further lines of `request`, such as `every: 1h`.
        account: fields of the account.
    """
    text = _ACME.replace("URL", url).replace("KEY", key + (f"\n  {request}" if request else ""))
    fields = {"label": "Acme", "variables": (VARIABLE,)} | account
    return DeclaredProvider(definition(text), DeclaredAccount(**fields))
