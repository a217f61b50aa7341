"""`integrations providers`: the accounts, the catalogue, and a try of one account."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any, Final

import click

from integrations import accounts, checks, command
from integrations.accounts import catalogue, samples
from integrations.accounts.file import ProvidersFile
from integrations.accounts.samples import Comparison
from integrations.cli._shared import columns
from integrations.files import yaml_file
from integrations.files.yaml_file import YamlFileError
from integrations.files.yaml_model import did_you_mean, schema_of
from integrations.providers import PYTHON
from integrations.providers.base import Provider
from integrations.providers.declared.provider import DeclaredProvider
from integrations.providers.declared.trace import places
from integrations.quota import words
from integrations.quota.errors import ProviderError
from integrations.quota.models import FailedQuota, Quota
from integrations.readings import fetch
from integrations.settings import panel_settings

_FAILED: Final = 2


@click.group()
def providers() -> None:
    """Show the accounts and the catalogue, try an account, check a definition.

    \b
    Example, from nothing to a card:
      integrations providers show deepl        # which key it needs
      $EDITOR .streamlit/providers.yaml        # accounts: [{service: imai}, {service: deepl}]
      export DEEPL_API_KEY=…
      integrations providers try DeepL
    """  # noqa: D301 - click leaves the lines after this mark as they are


@providers.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of two tables.")
def list_(*, as_json: bool) -> None:
    """List your accounts and the services of the catalogue.

    \b
    Example:
      integrations providers list --json | jq '.accounts[].label'
    """  # noqa: D301 - click leaves the lines after this mark as they are
    checks.check_settings()
    shown = [_account(provider) for provider in accounts.current()]
    services = [_service(name) for name in catalogue.names()]
    if as_json:
        click.echo(json.dumps({"accounts": shown, "services": services}, indent=2, ensure_ascii=False))
        return
    rows = [("Account", "Key", "Floors")]
    for account in shown:
        keys = (f"{key['variable']} ({'set' if key['set'] else 'not set'})" for key in account["keys"])
        floors = "; ".join(map(_floor_text, account["floors"])) or "none"
        rows.append((account["label"], ", ".join(keys) or "none", floors))
    known = [("Service", "Label", "Key", "Checked")]
    known += [
        (entry["name"], entry["label"], ", ".join(entry["keys"]), entry["checked"]) for entry in services
    ]
    click.echo("\n".join([*columns(rows), "", *columns(known)]))


def _account(provider: Provider[Any]) -> dict[str, Any]:
    keys = [{"variable": name, "set": is_set} for name, is_set in provider.configured.items()]
    floors = [
        {"quota": quota, "low": _number(floor.low), "critical": _number(floor.critical)}
        for quota, floor in provider.floors.items()
    ]
    return {
        "label": provider.label,
        "keys": keys,
        "floors": floors,
        "note": provider.note,
        "console": provider.console,
    }


def _number(figure: Decimal | None) -> int | float | None:
    """Return a figure as a JSON number."""
    if figure is None:
        return None
    return int(figure) if figure == figure.to_integral_value() else float(figure)


def _floor_text(floor: dict[str, Any]) -> str:
    """Return the floors of a quota as text: "Credits: low 10, critical 3"."""
    stated = ", ".join(f"{name} {floor[name]:,}" for name in ("low", "critical") if floor[name] is not None)
    return f"{floor['quota']}: {stated}" if floor["quota"] else stated


def _service(name: str) -> dict[str, Any]:
    definition = catalogue.definition(name)
    checked = definition.checked
    return {
        "name": name,
        "label": definition.label,
        "keys": list(definition.variables(name)),
        "values": sorted(definition.request.placeholders),
        "checked": f"{checked.day}, {checked.by}" if checked else "",
        "note": definition.note,
    }


@providers.command()
@click.argument("service_name", metavar="SERVICE")
def show(service_name: str) -> None:
    """Print a service's definition, yours before the catalogue's, ready to be copied into your file.

    \b
    Example:
      integrations providers show openrouter
    """  # noqa: D301 - click leaves the lines after this mark as they are
    if service_name in PYTHON:
        raise click.ClickException(f"{service_name} is written in Python and has no definition.")
    definition = _own_text(service_name)
    if definition is None and service_name in catalogue.names():
        definition = catalogue.text_of(service_name)
    if definition is None:
        hint = did_you_mean(service_name, catalogue.names())
        raise click.ClickException(
            f"There is no service {service_name!r}{hint}. See: {command.name()} providers list"
        )
    click.echo(f"services:\n  {service_name}:\n{indent(definition, '    ')}", nl=False)


def _own_text(service_name: str) -> str | None:
    """A service of the operator's own, as it is written, right or not."""
    path = panel_settings().providers_file
    try:
        return yaml_file.text_at(yaml_file.read_text(path), "services", service_name)
    except FileNotFoundError:
        return None
    except YamlFileError as error:
        raise click.ClickException(f"{path}: {error}") from None


@providers.command("try")
@click.argument("account")
def try_(account: str) -> None:
    """Ask an account's service once, and print the value of each path; exit 0 if all are read, 2 if not.

    \b
    Example:
      integrations providers try "OpenRouter Marketing"
    """  # noqa: D301 - click leaves the lines after this mark as they are
    checks.prepare_log(checks.check_settings())
    by_label = {provider.label: provider for provider in accounts.current()}
    provider = by_label.get(account)
    if provider is None:
        known = ", ".join(by_label) or "none"
        raise click.ClickException(f"There is no account {account!r}. The accounts are: {known}")
    try:
        quotas = _traced(provider) if isinstance(provider, DeclaredProvider) else fetch.fetch_quotas(provider)
    except ProviderError as error:
        click.echo(_failure(provider, error))
        sys.exit(_FAILED)
    for quota in quotas:
        click.echo(_card(provider, quota))
    if any(isinstance(quota, FailedQuota) for quota in quotas):
        sys.exit(_FAILED)


def _failure(provider: Provider[Any], error: ProviderError) -> str:
    sentence = error.code.sentence(label=provider.label, key_variable=provider.key_variable)
    return f"{sentence}\nThe log would say: {fetch.describe(provider, error)}"


@providers.command()
@click.argument(
    "paths",
    metavar="FILE_OR_FOLDER...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
def check(paths: tuple[Path, ...]) -> None:
    """Read the sample answers of a definition, without a network; exit 0 if all are as expected, 1 if not.

    A folder has the two files definition.yaml and sample.yaml. A file is a definition with a sample.yaml next to it.

    \b
    Example:
      integrations providers check services/acme
    """  # noqa: D301 - click leaves the lines after this mark as they are
    all_equal = True
    for path in paths:
        file = path / catalogue.DEFINITION if path.is_dir() else path
        click.echo(file)
        try:
            for number, comparison in enumerate(samples.compare(file), start=1):
                click.echo(_compared(number, comparison))
                all_equal = all_equal and comparison.is_equal
        except FileNotFoundError as error:
            raise click.ClickException(f"{error.filename}: there is no such file") from None
    if not all_equal:
        sys.exit(1)


def _compared(number: int, comparison: Comparison) -> str:
    outcome = "as expected" if comparison.is_equal else "not as expected"
    lines = [f"  answer {number}, HTTP {comparison.status}: {outcome}"]
    lines += [f"    read      {line}" for line in comparison.read]
    lines += [f"    problem   {line}" for line in comparison.problems]
    if not comparison.is_equal:
        lines += [f"    expected  {line}" for line in comparison.expected]
    return "\n".join(lines)


def _traced(provider: DeclaredProvider) -> tuple[Quota | FailedQuota, ...]:
    """Print a table of the places of an account's figures, and return its quotas."""
    response = fetch.within_deadline(provider, provider.ask)
    now = datetime.now(UTC)
    found = list(places(provider.definition, response, now=now, secrets=provider.secrets()))
    for quota, group in groupby(found, key=lambda place: place.quota):
        rows = [(f"  {place.what}", place.where, place.found, place.read) for place in group]
        click.echo("\n".join([quota or provider.label, *columns(rows), ""]))
    return provider.quotas_in(response, now=now)


def _card(provider: Provider[Any], quota: Quota | FailedQuota) -> str:
    reading = fetch.reading_of(provider, quota, at=datetime.now(UTC))
    if isinstance(quota, FailedQuota):
        message = reading.error.message if reading.error else ""
        return f"{reading.provider}: {message}\nThe log would say: {fetch.describe(provider, quota.error)}"
    parts = (words.remaining(reading), words.used(reading, total_hint=None))
    return f"{reading.provider}: " + "; ".join(part for part in parts if part)


@providers.command()
def schema() -> None:
    """Print the JSON Schema of the providers' file, for editors.

    \b
    Example, with this as the file's first line: # yaml-language-server: $schema=providers.schema.json
      integrations providers schema > .streamlit/providers.schema.json
    """  # noqa: D301 - click leaves the lines after this mark as they are
    click.echo(json.dumps(schema_of(ProvidersFile), indent=2, ensure_ascii=False))
