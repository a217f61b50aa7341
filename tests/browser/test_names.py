"""Names from outside, as a browser shows them."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.stage import WIDE, page_of, staged

NAMES = ["ops@acme.com", "WWW.acme.com Ltd", "https://acme.com/a", "Acme (see www.acme.com)"]
_COPIED = """heading => {
  getSelection().selectAllChildren(heading.querySelector('[data-heading-text]'));
  return getSelection().toString();
}"""


def test_a_name_that_looks_like_an_address_is_no_link(tmp_path: Path, chromium: Browser) -> None:
    """It is seen, heard and copied as it stands, and leads nowhere but from the overview to its card."""
    answers = {name: {"remaining": "0", "total": "5", "unit": "a@acme.com"} for name in NAMES}
    with staged(tmp_path, chromium, answers) as stage, page_of(chromium, stage) as page:
        page.set_viewport_size(WIDE)
        page.goto(stage.panel.url)
        headings = page.get_by_role("heading", level=2)
        expect(headings).to_have_count(len(NAMES))
        copied = [heading.evaluate(_COPIED) for heading in headings.all()]
        assert sorted(text.split("  ")[0] for text in copied) == sorted(NAMES)
        for name in NAMES:
            expect(page.get_by_role("heading", name=name)).to_be_visible()
            expect(page.get_by_role("progressbar", name=f"{name} used", exact=True)).to_be_visible()
        assert sorted(page.locator(".st-key-overview a").all_inner_texts()) == sorted(NAMES)
        leads_away = "links => links.filter(a => new URL(a.href).host !== location.host).map(a => a.href)"
        assert page.locator("a").evaluate_all(leads_away) == []
