"""Stand-ins for services of the catalogue, for the demo: each serves the sample answer of its definition."""

import re
from pathlib import Path
from textwrap import indent
from typing import Final

from integrations.accounts import catalogue, samples
from integrations.accounts.samples import Sample
from integrations.demo.server import Page
from integrations.files import yaml_model

KEY: Final = "test-key-demo"
_ACCOUNTS: Final = {
    "deepl": "- service: deepl",
    "brave": "- service: brave",  # its sample is low
    "twilio": "- {service: twilio, values: {account_sid: AC0123}}",  # its answer states no total
    "elevenlabs": "- service: elevenlabs",  # and this one is down
}
_DOWN: Final = "elevenlabs"


def pages() -> dict[str, Page]:
    """Return the answers of the stand-ins, by path."""
    return {f"/{name}": (503, {}, b"") if name == _DOWN else _sample(name) for name in _ACCOUNTS}


def _sample(name: str) -> Page:
    sample, _ = yaml_model.read(catalogue.FOLDER / name / samples.FILE, Sample)
    first = sample.answers[0]
    return first.status, first.headers, first.body.encode()


def write_file(path: Path, origin: str) -> None:
    """Write a providers' file with IMAI and the services, at the addresses of the stand-ins."""
    accounts = ["- service: imai", *_ACCOUNTS.values()]
    services = [f"{name}:\n{indent(_moved(name, origin), '  ')}" for name in _ACCOUNTS]
    parts = ("accounts:", indent("\n".join(accounts), "  "), "services:", indent("\n".join(services), "  "))
    path.touch(mode=0o600)  # a file that others may change is refused, and the umask may allow that
    path.write_text("\n".join(parts), encoding="utf-8")


def _moved(name: str, origin: str) -> str:
    """Return a definition of the catalogue with the address of its stand-in."""
    here = re.sub(r"\burl: .*", f"url: {origin}/{name}", catalogue.text_of(name), count=1)
    return re.sub(r"\n +values: .*", "", here, count=1)  # they filled the placeholders of the real address


def keys() -> dict[str, str]:
    """Return the services' variables with a key for tests, so that no real key is sent to a stand-in."""
    return {variable: KEY for name in _ACCOUNTS for variable in catalogue.definition(name).variables(name)}
