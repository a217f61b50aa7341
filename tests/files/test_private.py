"""Who can use the operator's files."""

from pathlib import Path

import pytest

from integrations.files import private


@pytest.mark.parametrize(
    ("mode", "access", "change"),
    [
        (0o600, False, False),
        (0o400, False, False),
        (0o644, True, False),
        (0o640, True, False),
        (0o601, True, False),
        (0o660, True, True),
        (0o602, True, True),
    ],
)
def test_a_file_that_others_may_use_is_reported_with_its_mode_and_a_command(
    tmp_path: Path, mode: int, *, access: bool, change: bool
) -> None:
    """Reading, writing or running by the group or by all others counts as access."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    status = path.stat()
    begin = f"{path}: others may"
    accessible = f"{begin} access it (mode {mode:04o}). Run: chmod 600 {path}"
    changeable = f"{begin} change it (mode {mode:04o}). Run: chmod go-w {path}"
    assert private.access_by_others(path, status) == (accessible if access else None)
    assert private.changes_by_others(path, status) == (changeable if change else None)
