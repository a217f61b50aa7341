"""What fails on the page, and what only ends its run."""

import pytest
from streamlit.runtime.scriptrunner import RerunData, RerunException, StopException

from integrations.ui import failure


@pytest.mark.parametrize(
    "end", [StopException(), RerunException(RerunData())], ids=lambda end: type(end).__name__
)
def test_what_ends_a_run_on_purpose_is_no_failure(
    end: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes its way, and the log has nothing of it."""
    with pytest.raises(type(end)), failure.render_errors_inline("Aa"):
        raise end
    assert caplog.records == []
