"""For how long what was read from the state may be shown."""

import pytest

from integrations.state import recent


@pytest.mark.parametrize(
    ("took", "good_for"), [(0.0, 0.05), (0.005, 0.05), (0.1, 0.8), (0.25, 2.0), (3.0, 2.0)]
)
def test_what_took_long_to_read_serves_the_longer(
    took: float, good_for: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the moment at which reading began: a twentieth of a second at the least, and two seconds at the most."""
    monkeypatch.setattr("integrations.state.recent.time.monotonic", lambda: 1000 + took)
    assert recent.good_until(1000) == pytest.approx(1000 + good_for)
