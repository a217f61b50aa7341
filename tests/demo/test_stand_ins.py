"""The services of the demo."""

import os
from decimal import Decimal
from pathlib import Path

import pytest

from integrations import accounts
from integrations.accounts.build import load
from integrations.demo import stand_ins
from integrations.demo.server import Simulator
from integrations.quota.errors import Status
from integrations.quota.rules import Level
from integrations.readings import shared


def test_the_demo_shows_imai_and_four_services_in_the_states_that_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is ok, one low, one has no total, one is unavailable; the figures are those of the samples."""
    for name, key in stand_ins.keys().items():
        monkeypatch.setenv(name, key)
    with Simulator(pages=stand_ins.pages()) as peer:
        monkeypatch.setenv("IMAI_API_BASE_URL", peer.url)
        monkeypatch.setenv("IMAI_API_KEY", peer.key)
        stand_ins.write_file(tmp_path / "providers.yaml", peer.origin)
        accounts.replace(load(tmp_path / "providers.yaml"))
        imai, deepl, brave, twilio, elevenlabs = shared.fresh_report().integrations
    assert imai.remaining_quota == 7500
    assert (deepl.provider, deepl.level, deepl.total_quota) == (
        "DeepL Characters",
        Level.OK,
        Decimal(1_250_000),
    )
    assert (brave.provider, brave.level) == ("Brave Search", Level.WARNING)
    assert (twilio.unit, str(twilio.remaining_quota), twilio.total_quota) == ("USD", "12.29", None)
    assert (elevenlabs.status, elevenlabs.has_figures) == (Status.UNAVAILABLE, False)


def test_the_demo_s_providers_file_is_accepted_with_any_umask(tmp_path: Path) -> None:
    """A providers' file that others may change is refused."""
    file = tmp_path / "providers.yaml"
    before = os.umask(0o002)
    try:
        stand_ins.write_file(file, "http://127.0.0.1:1")
    finally:
        os.umask(before)
    assert len(load(file)) == 5
