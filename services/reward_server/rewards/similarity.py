"""How close the completion is to the reference in meaning."""

from typing import ClassVar

from guerdon.messages import Range
from reward_server.rewards import Item, Reward


class Similarity(Reward):
    """Cosine similarity of the sentence embeddings of completion and reference, clipped to [0, 1]."""

    reads: ClassVar[tuple[str, ...]] = ("completion", "reference")
    embeds: ClassVar[bool] = True
    range: ClassVar[Range] = Range(low=0, high=1, better="higher")

    def texts(self, item: Item) -> list[str]:
        if not isinstance(item.reference, str):
            raise ValueError("similarity needs a text in the item's `reference` to compare the completion with")
        return [item.completion, item.reference]

    def score(self, items: list[Item]) -> list[float]:
        return [min(1.0, max(0.0, float(item.vectors[0] @ item.vectors[1]))) for item in items]
