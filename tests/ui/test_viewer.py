"""Each run of the page checks who is signed in."""

import pytest
from streamlit.testing.v1 import AppTest

from integrations.access import auth
from integrations.demo.server import Simulator
from tests.conftest import AddUser
from tests.ui.test_card import written
from tests.ui.test_page import press
from tests.ui.test_sign_in import Visit, signed_in, visit

__all__ = ["visit"]


@pytest.fixture(autouse=True)
def _people(add_user: AddUser) -> None:
    add_user("alice", roles=["admin"])


@pytest.mark.usefixtures("no_click_pause")
@pytest.mark.parametrize("button", [None, "Refresh", "Refresh all"])
def test_a_run_and_a_click_notice_that_the_session_has_ended(
    visit: Visit, imai: Simulator, button: str | None
) -> None:
    """They show the form and no figure, and call no provider."""
    session_id = signed_in()
    page = visit(session_id)
    auth().sessions.end(session_id)  # as another process does
    page = press(page, button) if button else page.run()
    assert page.text_input
    assert "7,500" not in written(page)
    assert imai.calls == 1


def _draw_may_read() -> None:
    import streamlit

    from integrations.ui import viewer

    streamlit.text(str(viewer.may_read()))


def test_a_fragment_notices_that_the_session_has_ended(visit: Visit) -> None:
    """It asks the state at each run."""
    session_id = signed_in()
    visit(session_id)  # sets the cookie
    part = AppTest.from_function(_draw_may_read)
    assert part.run().text[0].value == "True"
    auth().sessions.end(session_id)
    assert part.run().text[0].value == "False"
