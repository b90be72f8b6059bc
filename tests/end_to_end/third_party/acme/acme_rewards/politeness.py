"""Whether a completion is polite."""

from typing import ClassVar

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward


class Politeness(Reward):
    """1.0 where the completion says the magic word, else 0.0."""

    components: ClassVar[dict[str, Range]] = {"words": Range(low=0)}
    golden: ClassVar[tuple[Golden, ...]] = (Golden([{"completion": "Please!"}, {"completion": ""}], [None, 0.0]),)

    word: str = "please"
    """The magic word."""

    def score(self, items: list[Item]) -> list[Score]:
        return [
            Score(value=float(self.word in item.completion), components={"words": len(item.completion.split())})
            for item in items
        ]
