"""The server of the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.web.asgi_server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all tests of a module."""
    with Server() as running:
        yield running
