"""docs/faults.md against the faults that are tried."""

from pathlib import Path

from integrations.errors import ErrorCode
from tests.providers.faults import FAULTS

DOCUMENT = (Path(__file__).parents[1] / "docs" / "faults.md").read_text(encoding="utf-8")


def row(name: str, code: ErrorCode, *, retried: bool = False, wait: str | None = None) -> str:
    """A fault as a line of the table."""
    sentence = code.sentence(label="IMAI", key_variable="IMAI_API_KEY", wait=wait)
    return f"| {name} | `{code}` | {code.status} | {sentence} | {'yes' if retried else 'no'} |"


def test_the_table_is_the_list_of_faults() -> None:
    """Every fault that is tried stands there with what becomes of it, and no other."""
    table = [line for line in DOCUMENT.splitlines() if line.startswith("| ")][1:]
    expected = [row("nobody answers at the address", ErrorCode.NETWORK, retried=True)]
    expected += [row("nobody takes the connection", ErrorCode.TIMEOUT)]
    expected += [row(fault.name, fault.code, retried=fault.retried, wait=fault.wait) for fault in FAULTS]
    expected += [row("no API key is set", ErrorCode.NOT_CONFIGURED)]
    assert table == expected
