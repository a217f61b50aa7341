"""How often the page asks who looks at it."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from integrations.access import auth
from integrations.demo.server import Simulator
from integrations.state import recent
from integrations.ui import viewer
from tests.conftest import AddUser
from tests.ui.test_card import written
from tests.ui.test_page import press
from tests.ui.test_sign_in import Visit, signed_in, visit

__all__ = ["visit"]


@pytest.fixture(autouse=True)
def _slow_state(add_user: AddUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the state takes so long that what was read is recent throughout the test."""
    add_user("alice", roles=["admin"])
    monkeypatch.setattr(recent, "good_until", lambda began: began + 60)


def draw_a_part() -> None:
    """A script that is a part of the page alone, as when a card runs by itself."""
    import streamlit  # noqa: PLC0415 - AppTest runs these lines by themselves

    from integrations.ui import viewer  # noqa: PLC0415 - likewise

    streamlit.text(str(viewer.may_read()))


def says(part: AppTest) -> str:
    """Whether who looks at it may read."""
    return str(part.run().text[0].value)


@pytest.mark.usefixtures("no_click_pause")
@pytest.mark.parametrize("button", [None, "Refresh", "Refresh all"])
def test_however_slow_the_state_is_a_click_sees_that_the_session_has_ended(
    visit: Visit, imai: Simulator, button: str | None
) -> None:
    """As does each run of the whole page: there is the form, no figure, and no call."""
    session_id = signed_in()
    page = visit(session_id)
    auth().sessions.end(session_id)  # as another process does
    page = press(page, button) if button else page.run()
    assert page.text_input
    assert "7,500" not in written(page)
    assert imai.calls == 1


def test_a_part_of_the_page_takes_an_answer_while_it_is_recent(visit: Visit) -> None:
    """After that it asks for itself."""
    session_id = signed_in()
    visit(session_id)  # from here on, this is the cookie
    part = AppTest.from_function(draw_a_part)
    assert says(part) == "True"
    auth().sessions.end(session_id)
    assert says(part) == "True"
    *seen, _ = part.session_state[viewer._SEEN]
    part.session_state[viewer._SEEN] = (*seen, time.monotonic())
    assert says(part) == "False"


def test_no_part_of_the_page_takes_the_answer_of_another_session(visit: Visit) -> None:
    """A page that comes back may have another cookie."""
    visit(signed_in())
    part = AppTest.from_function(draw_a_part)
    assert says(part) == "True"
    visit("x" * 43)
    assert says(part) == "False"
