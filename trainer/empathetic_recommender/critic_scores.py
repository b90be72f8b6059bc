"""What the served critic says of replies: all of it by one version, as scores of two critics cannot be compared."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from empathetic_recommender.recommender_error import RecommenderError
from guerdon.client import RewardClient, ServerError
from guerdon.messages import Item, RewardScores, ScoreRequest
from long_work.json_file import Row

CHUNK = 32
DEADLINE_S = 120.0
TOKEN = "GUERDON_REWARD_TOKEN"  # noqa: S105 - the name of a variable
KEPT = {"value", "status", "components"}


class CriticScores(NamedTuple):
    """One score a reply, in their order; a failure has a status and no value. `version` is that of the critic."""

    scores: list[Row]
    version: str


def of(rows: Sequence[Row], url: str, reward: str) -> CriticScores:
    """Return what the served reward says of each row's `reply` to its `conversation`; there is one row at least.

    Raises:
        RecommenderError: the server refuses, is gone, or began to serve another version between two requests.
    """
    try:
        with RewardClient(url, os.environ.get(TOKEN) or None) as client:
            parts = [_part(client, rows[start : start + CHUNK], reward) for start in range(0, len(rows), CHUNK)]
    except ServerError as error:
        raise RecommenderError(f"the reward server at {url}: {error}") from None
    versions = list(dict.fromkeys(part.version for part in parts))
    if len(versions) > 1:
        raise RecommenderError(
            f"the reward server at {url} scored the first replies by {reward!r} of version {versions[0]}, later ones "
            f"by {versions[1]}: their scores cannot be compared. The same command has all of them scored anew"
        )
    return CriticScores([score.model_dump(include=KEPT) for part in parts for score in part.scores], versions[0])


def _part(client: RewardClient, rows: Sequence[Row], reward: str) -> RewardScores:
    items = [
        Item.model_validate(
            {"prompt": row["conversation"], "completion": [{"role": "assistant", "content": row["reply"]}]}
        )
        for row in rows
    ]
    return client.score(ScoreRequest(rewards=[reward], items=items, deadline_s=DEADLINE_S)).rewards[0]
