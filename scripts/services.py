"""Write docs/services.md from the catalogue: `python -m scripts.services`. A test checks that it is up to date."""

from pathlib import Path
from typing import Final

from integrations.accounts import catalogue
from integrations.files import yaml_file
from integrations.providers.declared.definition import Definition, QuotaRule
from integrations.providers.declared.paths import Path as PathInDocument

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "services.md"
LEFT_OUT: Final = Path(__file__).parent / "left-out.yaml"

HEAD: Final = """# Services

Made from the definitions in `integrations/providers/catalogue/` by `python -m scripts.services`.

To show one, write its name under `accounts` and set its key ([how](adding-a-provider.md)):

```yaml
accounts:
  - service: imai
  - service: deepl
```

**None of these services was called to check its definition.** The last column says what each is made from, when, and
where to read it; "one source" means that no second, independent source confirms it:

- documentation: the service's own pages or specification;
- recorded answer: an answer of the service that a third party published;
- client code: a public program that reads the same figures.

A figure that an answer does not state stays unknown. An answer that does not fit is an error, never a figure. Try an
account with `integrations providers try` before you rely on it. If a definition is wrong, copy it with
`integrations providers show` and correct it in your own file.

IMAI itself is written in Python, from its published API reference.

"""

LEFT_OUT_HEAD: Final = """
## Examined and left out

What needs Python can be added as [one file](adding-a-provider.md#in-python).

| service | why |
|---|---|
"""


def document() -> str:
    """Return the whole page."""
    count = len(catalogue.names())
    rows = [row(name, catalogue.definition(name)) for name in catalogue.names()]
    table = f"| {count} services | what a card shows | key | known by |\n|---|---|---|---|\n" + "".join(rows)
    left_out = yaml_file.load(LEFT_OUT.read_text(encoding="utf-8")).value
    if not isinstance(left_out, dict):
        raise TypeError(LEFT_OUT)
    whys = "".join(f"| {name} | {str(why).strip()} |\n" for name, why in left_out.items())
    return HEAD + table + LEFT_OUT_HEAD + whys


def row(name: str, definition: Definition) -> str:
    """Return a service as a line of the table."""
    cards = "; ".join(map(card, definition.quotas))
    notes = [definition.note] if definition.note else []
    if definition.request.every:
        minutes = definition.request.every.total_seconds() / 60
        notes.append(f"Asked at most every {'minute' if minutes == 1 else f'{minutes:g} minutes'}.")
    keys = "<br>".join(f"`{variable}`" for variable in definition.variables(name))
    values = "".join(f"<br>value `{value}`" for value in sorted(definition.request.placeholders))
    shown = " ".join([f"{cards}.", *notes])
    return f"| [{definition.label}]({definition.docs}) `{name}` | {shown} | {keys}{values} | {known_by(definition)} |\n"


def known_by(definition: Definition) -> str:
    """Return the kind, the day and the sources of a definition's check."""
    if definition.checked is None:
        return ""
    checked = definition.checked
    links = [f"[{number}]({address})" for number, address in enumerate(checked.sources, start=1)]
    alone = ["one source"] if len(links) <= 1 else []
    return f"{checked.by}, {checked.day}; {' '.join([*links, *alone])}"


def card(quota: QuotaRule) -> str:
    """Return what the card of a quota shows."""
    unit = "in the account's unit" if isinstance(quota.unit, PathInDocument) else quota.unit
    shown = list(quota.figures)
    if quota.renews_at:
        shown.append("renewal")
    name = "a card for each" if quota.each else quota.fixed_name
    title = f"{name} ({unit})" if name and name.lower() != unit.lower() else unit
    return f"{title}: {', '.join(shown)}" + (" if the answer has them" if quota.optional else "")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
