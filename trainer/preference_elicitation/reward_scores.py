"""Scores from a reward server, a request at a time; what has failed says so and is no number."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from guerdon.client import RewardClient, RewardServerError
from guerdon.messages import Item, RewardInfo, Score, ScoreRequest
from preference_elicitation.elicitation_error import ElicitationError

CHUNK = 16
"""Items of one request."""
DEADLINE_S = 600.0


class Rewards:
    """A reward server that serves information_gain, and what it says about itself."""

    def __init__(self, client: RewardClient, reward: str) -> None:
        """Ask what is served.

        Raises:
            ElicitationError: no server answers, or it serves no such reward.
        """
        self._client, self._reward = client, reward
        try:
            served = {info.name: info for info in client.rewards()}
        except (httpx.HTTPError, RewardServerError) as error:
            raise ElicitationError(
                f"no reward server answers at {client.url} ({error or type(error).__name__}); `guerdon up --config …` "
                "starts one, --reward-url names another"
            ) from None
        if served.get(reward) is None or served[reward].kind != "information_gain":
            gains = [name for name, info in served.items() if info.kind == "information_gain"]
            raise ElicitationError(
                f"{client.url} serves no information_gain called {reward!r}; "
                f"{f'it serves {gains[0]!r}: --reward {gains[0]}' if gains else 'it serves none at all'}"
            )
        self.info: RewardInfo = served[reward]

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.info.settings

    def gains(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Score]:
        """Score questions, each with the prompt's row that it was asked for.

        Raises:
            ElicitationError: the server refuses a request, or is gone.
        """
        items = [Item(completion=question, context=_context(row)) for question, row in asked]
        found: list[Score] = []
        for start in range(0, len(items), CHUNK):
            found += self.scores(self._reward, items[start : start + CHUNK])
        return found

    def scores(self, reward: str, items: list[Item]) -> list[Score]:
        """Score items under any reward; raises as `gains` does."""
        try:
            answer = self._client.score(ScoreRequest(rewards=[reward], items=items, deadline_s=DEADLINE_S))
        except RewardServerError as error:
            raise ElicitationError(f"{self._client.url}: {error}") from None
        return answer.rewards[0].scores


def _context(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("persona", "transcript", "pair_seed")}
