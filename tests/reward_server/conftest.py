"""A Valkey for the tests of what lives in Redis."""

import time
from collections.abc import Iterator

import pytest

from local_stack.console import Console
from local_stack.supervisor import Supervisor
from local_stack.valkey import embedded, silence


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    valkey = embedded(tmp_path_factory.mktemp("valkey"))
    supervisor = Supervisor(Console())
    supervisor.watch(valkey.process)
    try:
        end = time.monotonic() + 30
        while silence(valkey.url) is not None:
            assert time.monotonic() < end, "Valkey does not come up"
            time.sleep(0.01)
        yield valkey.url
    finally:
        supervisor.stop()
