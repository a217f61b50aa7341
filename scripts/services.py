"""Write docs/services.md from the catalogue: `python scripts/services.py`. A test holds that it is up to date."""

from pathlib import Path
from typing import Final

from integrations.accounts import catalogue
from integrations.files import yaml_file
from integrations.providers.declared.definition import Definition, QuotaRule
from integrations.providers.declared.paths import Path as PathInDocument

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "services.md"
LEFT_OUT: Final = Path(__file__).parent / "left-out.yaml"

HEAD: Final = """# Services

Made from the definitions in `integrations/providers/catalogue/` by `python scripts/services.py`.

To show one, write its name under `accounts` and set its key ([how](adding-a-provider.md)):

```yaml
accounts:
  - service: imai
  - service: deepl
```

**None of these services was called to check its definition.** The last column says what each is made from, and when:

- documentation: the service's own pages or specification;
- recorded answer: an answer of the service that somebody else published;
- client code: a public program that reads the same figures.

What an answer does not hold stays unknown, and an answer that does not fit is an error, never a figure. Try an account
with `integrations providers try` before you rely on it; where a definition is wrong, copy it with
`integrations providers show` and mend it in your own file.

IMAI itself is written in Python, from its published API reference.

"""

LEFT_OUT_HEAD: Final = """
## Looked at and left out

What needs Python can be added as [one file](adding-a-provider.md#in-python).

| service | why |
|---|---|
"""


def document() -> str:
    """The whole page."""
    count = len(catalogue.names())
    rows = [row(name, catalogue.definition(name)) for name in catalogue.names()]
    table = f"| {count} services | what a card shows | key | known by |\n|---|---|---|---|\n" + "".join(rows)
    left_out = yaml_file.load(LEFT_OUT.read_text(encoding="utf-8")).value
    if not isinstance(left_out, dict):
        raise TypeError(LEFT_OUT)
    whys = "".join(f"| {name} | {str(why).strip()} |\n" for name, why in left_out.items())
    return HEAD + table + LEFT_OUT_HEAD + whys


def row(name: str, definition: Definition) -> str:
    """A service as a line of the table."""
    cards = "; ".join(map(card, definition.quotas))
    notes = [definition.note] if definition.note else []
    if definition.request.every:
        minutes = definition.request.every.total_seconds() / 60
        notes.append(f"Asked at most every {'minute' if minutes == 1 else f'{minutes:g} minutes'}.")
    keys = "<br>".join(f"`{variable}`" for variable in definition.variables(name))
    values = "".join(f"<br>value `{value}`" for value in sorted(definition.request.placeholders))
    checked = f"{definition.checked.by}, {definition.checked.day}" if definition.checked else ""
    shown = " ".join([f"{cards}.", *notes])
    return f"| [{definition.label}]({definition.docs}) `{name}` | {shown} | {keys}{values} | {checked} |\n"


def card(quota: QuotaRule) -> str:
    """What the card of a quota shows."""
    unit = "in the account's unit" if isinstance(quota.unit, PathInDocument) else quota.unit
    told = list(quota.figures)
    if quota.renews_at:
        told.append("renewal")
    named = quota.name and quota.name.lower() != unit.lower()
    title = f"{quota.name} ({unit})" if named else unit
    return f"{title}: {', '.join(told)}" + (" where told" if quota.optional else "")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
