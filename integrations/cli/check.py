"""`integrations check`: prints every check of the installation, a line each."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import click

from integrations import accounts, checks, log
from integrations.checks import Finding, Severity
from integrations.quota import words
from integrations.readings import fetch


@click.command()
@click.option("--offline", is_flag=True, help="Ask no provider.")
def check(*, offline: bool) -> None:
    """Check settings, accounts, store, permissions and keys; exit 0 if all is well, 1 if not."""
    log.set_up("CRITICAL", "text")  # the findings say it
    found = list(checks.settings())
    if not any(finding.severity == Severity.FATAL for finding in found):
        found += checks.run((*checks.CHECKS, _keys_are_set if offline else _keys_work))
    wrong = [finding for finding in found if finding.severity >= Severity.WARNING]
    for finding in found:
        click.echo(f"{'FIX ' if finding in wrong else 'ok  '} {finding.about}: {finding.text}")
    sys.exit(1 if wrong else 0)


def _keys_are_set() -> Iterator[Finding]:
    for provider in accounts.current():
        if missing := provider.missing_variables:
            yield Finding(provider.label, f"no key: set {' and '.join(missing)}", Severity.ERROR)
        elif provider.configured:
            are = "are" if len(provider.configured) > 1 else "is"
            yield Finding(provider.label, f"{provider.key_variable} {are} set; not asked")
        else:
            yield Finding(provider.label, "needs no key; not asked")


def _keys_work() -> Iterator[Finding]:
    """Ask all accounts at once; a failure includes the text that the panel would log."""
    providers = accounts.current()
    with ThreadPoolExecutor(max_workers=max(len(providers), 1)) as pool:
        answers = zip(providers, pool.map(fetch.fetch_with_errors, providers), strict=True)
        for provider, (outcome, errors) in answers:
            for reading in fetch.visible_readings(provider, outcome):
                if reading.error is None:
                    figures = (words.remaining(reading), words.used(reading, total_hint=provider.total_hint))
                    yield Finding(reading.provider, ". ".join(filter(None, figures)))
                else:
                    description = fetch.describe(provider, errors[reading.provider])
                    text = f"{reading.error.message} The log would say: {description}"
                    yield Finding(reading.provider, text, Severity.ERROR)
