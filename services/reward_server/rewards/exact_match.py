"""Whether the completion is the reference."""

import re
import string
from typing import ClassVar

from reward_server.rewards import Item, Reward

PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch(Reward):
    """1.0 when the completion equals the reference, else 0.0; `normalize` forgives case, space and punctuation.

    The normalisation is SQuAD's (Rajpurkar et al. 2016, evaluate-v1.1) without its removal of articles.
    """

    reads: ClassVar[tuple[str, ...]] = ("completion", "reference")

    normalize: bool = True
    """Compare in lower case, without punctuation, with runs of white space as one space."""
    answer_tag: str | None = None
    """Compare only what stands between <TAG> and </TAG> of the completion; no tag, no match."""

    def score(self, items: list[Item]) -> list[float]:
        return [float(self.matches(item)) for item in items]

    def matches(self, item: Item) -> bool:
        if item.reference is None:
            raise ValueError("exact_match needs a reference; send the right answer in the item's `reference`")
        answer = self.answer(item.completion)
        return answer is not None and self.form(answer) == self.form(str(item.reference))

    def answer(self, completion: str) -> str | None:
        if self.answer_tag is None:
            return completion
        tag = re.escape(self.answer_tag)
        found = re.search(rf"<{tag}>(.*?)</{tag}>", completion, re.DOTALL)
        return found[1] if found else None

    def form(self, words: str) -> str:
        return " ".join(words.lower().translate(PUNCTUATION).split()) if self.normalize else words.strip()
