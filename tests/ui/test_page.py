"""The page as Streamlit runs it, with the real store and the simulator behind it."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import time_machine
from streamlit.testing.v1 import AppTest

from integrations import accounts
from integrations.access import Denial, Principal, auth
from integrations.accounts.build import InFileOrder
from integrations.demo.server import Simulator
from integrations.readings import shared
from integrations.state import StateError, state
from integrations.ui import card
from integrations.ui import overview as overview_of
from tests.browser import many_providers
from tests.browser.many_providers import Scripted
from tests.conftest import IMAI, AddUser
from tests.providers import definitions
from tests.providers.hostile import answer, hostile
from tests.ui.gallery import STATES
from tests.ui.test_card import written
from tests.ui.test_sign_in import Visit, answered, signed_in, visit

__all__ = ["visit"]


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"], first_name="Alice", last_name="Ng")
    add_user("victor", roles=["guest"])


def press(page: AppTest, label: str) -> AppTest:
    """Click a button by its words; return the page with what the click brought."""
    return answered(next(button for button in page.button if button.label == label).click().run())


def test_an_admin_sees_the_card_and_the_sidebar(visit: Visit, imai: Simulator) -> None:
    """The sidebar has the name, the entry and two buttons, the card has the figures, and there is one call."""
    page = visit(signed_in())
    assert not page.exception
    assert page.title[0].value == "Integrations"
    assert "Used: 2,500 / 10,000 credits" in written(page)
    assert page.sidebar.text[0].value == "Alice Ng"
    assert [button.label for button in page.sidebar.button] == ["Refresh all", "Log out"]
    assert len(page.sidebar.get("page_link")) == 1
    assert imai.calls == 1


def test_without_permission_there_is_the_sentence_and_no_call(visit: Visit, imai: Simulator) -> None:
    """There is neither an entry in the sidebar nor a card, and no provider is asked."""
    page = visit(signed_in("victor"))
    assert [error.value for error in page.error] == ["You don't have permission to view integrations."]
    assert [button.label for button in page.button] == ["Log out"]
    assert len(page.sidebar.get("page_link")) == 0
    assert imai.calls == 0


def test_without_a_key_the_card_says_which_variable(visit: Visit) -> None:
    """A card without a key says "Not configured" and names the variable."""
    text = written(visit(signed_in()))
    assert "Not configured" in text
    assert "IMAI not configured. Please add IMAI_API_KEY to environment variables." in text


def test_without_a_total_there_is_no_bar(
    visit: Visit, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What remains is shown, and the rest is said to be unknown."""
    monkeypatch.delenv("IMAI_TOTAL_CREDITS")
    page = visit(signed_in())
    assert "Remaining: 7,500 credits" in written(page)
    assert "Total unknown: set IMAI_TOTAL_CREDITS to see usage." in written(page)
    assert len(page.get("progress")) == 0
    assert imai.calls == 1


@pytest.mark.usefixtures("no_click_pause")
@pytest.mark.parametrize("button", ["Refresh", "Refresh all"])
def test_refresh_brings_the_new_figure(visit: Visit, imai: Simulator, button: str) -> None:
    """The button on the card and the one in the sidebar cause one call and show its figures."""
    page = visit(signed_in())
    imai.spend(500)
    assert "Remaining: 7,500 credits" in written(page.run())
    page = press(page, button)
    assert not page.exception
    assert "Remaining: 7,000 credits" in written(page)
    assert imai.calls == 2


@pytest.mark.usefixtures("imai")
@pytest.mark.parametrize("button", ["Refresh", "Refresh all"])
def test_refresh_counts_as_use_of_the_session(visit: Visit, button: str) -> None:
    """Who clicks now and then is not signed out as idle; a page that only runs again is."""
    with time_machine.travel(datetime.now(UTC)) as clock:
        session_id = signed_in()
        page = visit(session_id)
        for _ in range(2):
            clock.shift(timedelta(minutes=59))
            page = press(page, button)
        assert isinstance(auth().authenticate(session_id), Principal)
        clock.shift(timedelta(minutes=59))
        page.run()
        clock.shift(timedelta(minutes=2))
        assert auth().authenticate(session_id) is Denial.SIGNED_OUT


@pytest.mark.usefixtures("no_click_pause")
def test_a_failure_keeps_the_figures_and_offers_retry(visit: Visit, imai: Simulator) -> None:
    """The card has the reason, the last good figures with their age, and Retry in place of Refresh."""
    page = visit(signed_in())
    imai.mode = "invalid_api_key"
    page = press(page, "Refresh")
    text = written(page)
    assert "Unable to fetch quota. IMAI rejected the API key: check IMAI_API_KEY." in text
    assert "Remaining: 7,500 credits" in text
    assert "Last good reading just now" in text
    assert "Retry" in [button.label for button in page.button]


def test_several_viewers_cause_one_call(visit: Visit, imai: Simulator) -> None:
    """Five visits and a read of the cache cause one call together."""
    for _ in range(5):
        assert "7,500" in written(visit(signed_in()))
    assert shared.fresh_report([IMAI]).integrations[0].remaining_quota == 7500
    assert imai.calls == 1


def test_a_run_reads_the_state_twice(visit: Visit, imai: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the session and once for the records of all cards."""
    page = visit(signed_in())
    reads: list[str] = []
    get_many = state().get_many

    def record(keys: Sequence[str]) -> dict[str, str]:
        reads.append(keys[0].partition(":")[0])
        return get_many(keys)

    monkeypatch.setattr(state(), "get_many", record)
    page.run()
    assert "Used: 2,500 / 10,000 credits" in written(page)
    assert sorted(reads) == ["reading", "session"]
    assert imai.calls == 1


def test_log_out_leaves_the_form(visit: Visit, imai: Simulator) -> None:
    """After Log out the page shows the sign-in form and nothing else."""
    page = press(visit(signed_in()), "Log out")
    assert [button.label for button in page.button] == ["Login"]
    assert imai.calls == 1


def test_no_provider_at_all_is_said(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a provider the page has a sentence in place of cards."""
    accounts.replace(())
    page = visit(signed_in())
    assert not page.exception
    assert "No integrations are set up." in [info.value for info in page.info]


def test_a_card_says_when_its_provider_may_be_asked_again(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click meanwhile says so and asks nothing; its button stays enabled, since a disabled one loses the focus."""
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    with hostile(answer(200, definitions.GOOD)) as server:
        accounts.replace((definitions.acme(server.url, request="every: 40m"),))
        page = visit(signed_in())
        assert "Refresh possible in 40 minutes" in written(page)
        assert not any(button.disabled for button in page.button)
        for button in ("Refresh", "Refresh all"):
            page = press(page, button)
            assert "Refresh possible in 40 minutes" in written(page)
        assert len(server.requests) == 1


def test_a_log_out_that_could_not_be_done_says_so(
    visit: Visit, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person is still signed in and must know; the next click tries again."""
    session_id = signed_in()
    page = visit(session_id)

    def full(_key: str) -> NoReturn:
        raise StateError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(state(), "take", full)
        press(page, "Log out")
    assert [error.value for error in page.error] == ["You could not be logged out. Please try again."]
    assert isinstance(auth().authenticate(session_id), Principal)
    press(page, "Log out")
    assert auth().authenticate(session_id) is Denial.SIGNED_OUT
    assert not page.exception


def test_without_the_state_the_page_says_that_sign_in_is_unavailable(
    visit: Visit, imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To who is signed in as to who is not; no form to type a password into, no figure, no call; then all is back."""

    def gone(_key: str) -> NoReturn:
        raise StateError("gone")

    session_id = signed_in()
    with monkeypatch.context() as patch:
        patch.setattr(state(), "get", gone)
        for page in (visit(session_id), visit(None)):
            assert [error.value for error in page.error] == ["Sign-in is unavailable."]
            assert not page.text_input
            assert not page.exception
        assert imai.calls == 0
    assert "Used: 2,500 / 10,000 credits" in written(visit(session_id))


def scripted(path: Path, **answers: object) -> None:
    """Show these providers, which answer what is said."""
    path.write_text(json.dumps(answers))
    accounts.replace(many_providers.providers(path))


def overview(page: AppTest) -> str:
    """The overview's lines, without icons and addresses; empty where there is none."""
    lines = next((one.value for one in page.markdown if one.value.startswith("- ")), "")
    return re.sub(r":\w+(?:-badge)?\[(?::material/\w+: )?|\(#[^)]*\)|[\[\]]", "", lines).replace("- ", "")


CARD = {"remaining": "7500", "total": "10000"}


@pytest.mark.usefixtures("no_click_pause")
def test_from_two_cards_on_there_is_an_overview_and_refresh_keeps_it_true(
    visit: Visit, tmp_path: Path
) -> None:
    """The most urgent first, linked; the active ones as a number; with one card there is none."""
    scripted(tmp_path / "one.json", One=CARD)
    assert overview(visit(signed_in())) == ""
    script = tmp_path / "answers.json"
    scripted(script, Aa=CARD, Bb={"remaining": "0", "total": "5"}, Cc={"error": "timeout"}, Dd=CARD)
    page = visit(signed_in())
    assert not page.exception
    assert overview(page) == "Exhausted Bb\nUnavailable Cc\nActive 2"
    assert "[Bb](#card-Bb)" in page.markdown[0].value
    script.write_text(
        json.dumps({"Aa": {"remaining": "1", "total": "100"}, "Bb": CARD, "Cc": CARD, "Dd": CARD})
    )
    page = press(page, "Refresh all")
    assert overview(page) == "Almost exhausted Aa 1\nActive 3"


def test_a_click_right_after_a_fetch_calls_nobody(visit: Visit, tmp_path: Path) -> None:
    """Within two seconds the card's age says it all."""
    script = tmp_path / "answers.json"
    with time_machine.travel(datetime.now(UTC), tick=False):
        scripted(script, Aa=CARD, Bb={"error": "timeout"})
        page = visit(signed_in())
        for button in ("Refresh", "Retry", "Refresh all"):
            page = press(page, button)
            assert "Updated just now" in written(page)
    assert sorted(script.with_suffix(".calls").read_text().split()) == ["Aa", "Bb"]


@pytest.mark.usefixtures("no_click_pause")
@pytest.mark.parametrize("part", ["draw", "_draw_figures"])
def test_a_card_that_cannot_be_drawn_takes_no_other_with_it(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    """One sentence in its place and one traceback in the log; the cards after it and what is told are whole."""
    scripted(tmp_path / "answers.json", Aa=CARD, Bb=CARD, Cc=CARD)
    visit(signed_in())
    draw = getattr(card, part)

    def fail(provider: Scripted, *rest: Any, **options: Any) -> object:
        if provider.label == "Bb":
            raise RuntimeError("of the inside")
        return draw(provider, *rest, **options)

    monkeypatch.setattr(card, part, fail)
    page = visit(signed_in())
    assert [error.value for error in page.error] == ["Something went wrong. Please try again."]
    drawn = [header.value.split()[0] for header in page.header]
    assert drawn == (["Aa", "Cc"] if part == "draw" else ["Aa", "Bb", "Cc"])
    assert overview(page) == "Active 3"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "The card of Bb could not be drawn"
    ]
    page = press(page, "Refresh all")
    assert not page.exception


def test_one_provider_of_two_quotas_has_an_overview(visit: Visit, tmp_path: Path) -> None:
    """A card is a reading, not a provider."""
    two = [CARD | {"name": "Searches"}, {"remaining": "0", "total": "5", "name": "Exports"}]
    scripted(tmp_path / "answers.json", Hunter=two)
    page = visit(signed_in())
    assert overview(page) == "Exhausted Hunter Exports\nActive 1"
    assert overview(page.run()) == "Exhausted Hunter Exports\nActive 1"


FULL, LOW, OUT = ({"remaining": remaining, "total": "100"} for remaining in ("90", "15", "0"))


def order(page: AppTest) -> list[str]:
    """The names of the cards, from the first to the last."""
    return [str(header.value).partition(" :")[0] for header in page.header]


@pytest.mark.usefixtures("no_click_pause")
def test_a_page_opens_with_the_most_urgent_card_and_keeps_its_order(visit: Visit, tmp_path: Path) -> None:
    """Nothing moves while the page is open, whatever a refresh brings; the next opening sorts again."""
    script = tmp_path / "answers.json"
    scripted(script, Aa=FULL, Bb=LOW, Cc=OUT, Dd={"error": "timeout"}, Ee=FULL)
    first = visit(signed_in())
    assert order(first) == ["Aa", "Bb", "Cc", "Dd", "Ee"]  # nothing was known
    opened = ["Cc", "Dd", "Bb", "Aa", "Ee"]
    page = visit(signed_in())
    assert order(page) == opened
    script.write_text(json.dumps({"Aa": OUT, "Bb": FULL, "Cc": FULL, "Dd": FULL, "Ee": FULL}))
    page = press(page, "Refresh all")
    assert overview(page) == "Exhausted Aa\nActive 4"
    assert order(page) == opened
    assert order(press(first, "Refresh all")) == ["Aa", "Bb", "Cc", "Dd", "Ee"]
    assert order(visit(signed_in())) == ["Aa", "Bb", "Cc", "Dd", "Ee"]


@pytest.mark.usefixtures("no_click_pause")
def test_further_cards_of_a_provider_follow_its_first(visit: Visit, tmp_path: Path) -> None:
    """As when it failed at the opening and comes back with several quotas."""
    script = tmp_path / "answers.json"
    scripted(script, Aa=FULL, Bb={"error": "timeout"}, Cc=LOW)
    visit(signed_in())
    page = visit(signed_in())
    assert order(page) == ["Bb", "Cc", "Aa"]
    two = [FULL | {"name": "Searches"}, LOW | {"name": "Exports"}]
    script.write_text(json.dumps({"Aa": FULL, "Bb": two, "Cc": LOW}))
    assert order(press(page, "Retry")) == ["Bb Searches", "Bb Exports", "Cc", "Aa"]
    assert order(visit(signed_in())) == ["Bb Exports", "Cc", "Aa", "Bb Searches"]


def test_the_providers_file_may_keep_its_order(visit: Visit, tmp_path: Path) -> None:
    """`order: file`: always as the operator wrote it."""
    (tmp_path / "answers.json").write_text(json.dumps({"Aa": FULL, "Bb": OUT}))
    accounts.replace(InFileOrder(many_providers.providers(tmp_path / "answers.json")))
    for _ in range(2):
        assert order(visit(signed_in())) == ["Aa", "Bb"]


def calls(script: Path, label: str) -> int:
    """How often a provider was called."""
    return script.with_suffix(".calls").read_text().split().count(label)


def test_a_tab_that_comes_to_the_front_fetches_what_is_due(visit: Visit, tmp_path: Path) -> None:
    """Within the five minutes of a good reading nobody is called; it counts as use of the session."""
    script = tmp_path / "answers.json"
    scripted(script, Aa=FULL, Bb={"error": "timeout"})
    with time_machine.travel(datetime.now(UTC)) as clock:
        session_id = signed_in()
        page = visit(session_id)
        for seconds, a_calls, b_calls in ((14, 1, 1), (2, 1, 2), (300, 2, 3)):
            clock.shift(timedelta(seconds=seconds))
            page = press(page, "Look again")
            assert (calls(script, "Aa"), calls(script, "Bb")) == (a_calls, b_calls)
        clock.shift(timedelta(minutes=59))
        page = press(page, "Look again")
        clock.shift(timedelta(minutes=59))
        assert isinstance(auth().authenticate(session_id), Principal)


def test_a_retry_by_the_page_is_no_use_of_the_session(visit: Visit, tmp_path: Path) -> None:
    """A page that is left open in front signs out as any other; once all have answered there is nothing to retry."""
    script = tmp_path / "answers.json"
    scripted(script, Aa={"error": "timeout"})
    with time_machine.travel(datetime.now(UTC)) as clock:
        session_id = signed_in()
        page = visit(session_id)
        clock.shift(timedelta(minutes=59))
        script.write_text(json.dumps({"Aa": FULL}))
        page = press(page, "Retry failed")
        assert calls(script, "Aa") == 2
        assert "Retry failed" not in [button.label for button in page.button]
        clock.shift(timedelta(minutes=1))
        assert auth().authenticate(session_id) is Denial.SIGNED_OUT


def test_the_tabs_title_begins_with_the_number_of_cards_that_need_a_person() -> None:
    """Not with those that are well or pass without help."""
    readings = [
        STATES[name] for name in ("25 % used", "80 % used", "100 % used", "timeout", "not configured")
    ]
    assert overview_of.tab_title(readings) == "(3) Integrations"
    assert overview_of.tab_title(readings[:1]) == "Integrations"
