"""A whole stack for the tests that leave it as it is: Valkey, API and worker as processes."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_stack.stack import Stack

WITHOUT_MODELS = """
[exact_match]
kind = "exact_match"
[length]
kind = "length"
[queued_length]
kind = "length"
runs = "worker"
[queued_match]
kind = "exact_match"
runs = "worker"
"""
REWARDS = f"""
[sql_cot]
kind = "sql_cot"
[similarity]
kind = "similarity"
[diversity]
kind = "diversity"
[semantic_diversity]
kind = "diversity"
value = "semantic"
{WITHOUT_MODELS}
"""


@pytest.fixture(scope="session")
def rewards_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "rewards.toml"
    path.write_text(REWARDS)
    return path


@pytest.fixture(scope="session")
def light_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rewards whose worker is up in a second."""
    path = tmp_path_factory.mktemp("config") / "rewards.toml"
    path.write_text(WITHOUT_MODELS)
    return path


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, rewards_toml: Path) -> Iterator[Stack]:
    env = {"GUERDON_REWARD_RESUBMIT_AFTER_S": "3"}
    with Stack(config=rewards_toml, directory=tmp_path_factory.mktemp("stack"), threads=1, env=env) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
        yield client
