"""What a reward server that runs already serves: its rewards' versions stand for the text that it was not given."""

import os

import httpx

from guerdon.client import RewardClient, RewardServerError
from research_pipelines.failure import PipelineError

VARIABLE = "GUERDON_REWARD_TOKEN"
"""Where the stages take the server's token from."""
PATIENCE_S = 3.0
"""How long a server may not answer at all,"""
DEADLINE_S = 60.0
"""and how long one is asked again that answers with a fault, or puts off."""


def versions(url: str) -> dict[str, str]:
    """Return the version of every reward that is served there.

    Raises:
        PipelineError: the server does not say.
    """
    try:
        with RewardClient(url, os.environ.get(VARIABLE), PATIENCE_S) as client:
            return {info.name: info.version for info in client.rewards(DEADLINE_S)}
    except (RewardServerError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise PipelineError(f"--reward-url {url}: {error or type(error).__name__}") from error
