"""Whether the completion has the tags it should have, once each and in order."""

from typing import ClassVar

from pydantic import field_validator

from guerdon.messages import Range, Score
from reward_server.rewards import Item, Reward


class FormatTags(Reward):
    """The share of `tags` that are present exactly once, opened and closed, after the one before; 1.0 when all are."""

    components: ClassVar[dict[str, Range]] = {"complete": Range(low=0, high=1, better="higher")}

    tags: tuple[str, ...] = ("think", "answer")
    """The tags in their order, without angle brackets."""

    @field_validator("tags")
    @classmethod
    def _some_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not tags or any(not tag or set(tag) & set("<>/ ") for tag in tags):
            raise ValueError("give at least one tag, written without angle brackets, e.g. ['think', 'answer']")
        return tags

    def score(self, items: list[Item]) -> list[Score]:
        return [self.graded(item.completion) for item in items]

    def graded(self, completion: str) -> Score:
        share = self.in_order(completion) / len(self.tags)
        return Score(value=share, components={"complete": float(share == 1)})

    def in_order(self, completion: str) -> int:
        """Count the tags that stand once, closed, behind the last tag that counted."""
        found, end = 0, 0
        for tag in self.tags:
            opening, closing = f"<{tag}>", f"</{tag}>"
            if completion.count(opening) != 1 or completion.count(closing) != 1:
                continue
            start, stop = completion.index(opening), completion.index(closing)
            if end <= start < stop:
                found, end = found + 1, stop + len(closing)
        return found
