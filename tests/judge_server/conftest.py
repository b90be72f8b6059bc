"""A model server on loopback."""

from collections.abc import Iterator

import pytest
from tests.judge_server.loopback import Loopback, serving


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with serving() as server:
        yield server
