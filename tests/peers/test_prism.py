"""GitHub's definition against GitHub's own description of its API, served by Prism: `make test-peers`."""

from collections.abc import Iterator

import pytest

from integrations.quota.errors import ErrorCode
from integrations.readings import shared
from tests.providers import samples
from tests.support.processes import ROOT, accepts, clean_environment, free_port, process

FOLDER = ROOT / ".peers" / "prism" / "node_modules"
PRISM = FOLDER / ".bin" / "prism"
DESCRIPTION = FOLDER / "@octokit" / "openapi" / "generated" / "api.github.com.json"

pytestmark = pytest.mark.skipif(not PRISM.exists(), reason="Prism is not installed: make test-peers does it")


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where Prism answers as GitHub; it refuses requests that the description does not have."""
    port = free_port()
    command = [str(PRISM), "mock", "--errors", "--port", str(port), str(DESCRIPTION)]
    log_file = tmp_path_factory.mktemp("prism") / "log"
    with process(command, log_file, clean_environment({})) as running:
        running.wait_for(lambda: accepts(port), seconds=120)  # it reads some twelve megabytes of JSON
        yield f"http://127.0.0.1:{port}"


def test_githubs_description_gives_githubs_cards(github: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three pools of the description's example, each with its total, its remainder and its renewal."""
    monkeypatch.setenv("GITHUB_API_KEY", "test-key")
    readings = shared.fresh_report([samples.account_at("github", github)]).integrations
    assert [
        (reading.provider, str(reading.remaining_quota), str(reading.total_quota)) for reading in readings
    ] == [
        ("GitHub Core", "4999", "5000"),
        ("GitHub GraphQL", "4993", "5000"),
    ]
    assert all(reading.renews_at for reading in readings)


def test_a_failure_of_the_description_is_told_as_one(github: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that the description does not have is a 404, and no figure."""
    monkeypatch.setenv("GITHUB_API_KEY", "test-key")
    error = shared.fresh_report([samples.account_at("github", f"{github}/nowhere")]).integrations[0].error
    assert error is not None
    assert error.code is ErrorCode.INVALID_RESPONSE
