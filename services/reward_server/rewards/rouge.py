"""ROUGE of the completion against its references."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward
from reward_server.rewards.bleu import CUT, references

WORD = re.compile(r"[a-z0-9]+")
VARIANTS = ("rouge_1", "rouge_2", "rouge_l")


class Overlap(NamedTuple):
    """What two texts share: shares of the completion and of the reference, and their harmonic mean; in [0, 1]."""

    f: float
    precision: float
    recall: float


class Rouge(Reward):
    """ROUGE (Lin 2004) of the completion against its `reference`, a text or a list of texts: rouge-score's figures.

    ROUGE-L is the longest common subsequence of words, ROUGE-1 and ROUGE-2 the n-grams in common. Words are runs of
    a-z and 0-9 in lower case and are not stemmed: texts in other scripts have none. Of several references the one with
    the largest F counts, for each variant by itself.
    """

    reads: ClassVar[tuple[str, ...]] = ("completion", "reference")
    components: ClassVar[dict[str, Range]] = {
        f"{variant}.{measure}": Range(low=0, high=1, better="higher")
        for variant in VARIANTS
        for measure in Overlap._fields
    }
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden(
            [
                {"completion": "The cat sat on the mat.", "reference": "the cat sat on the mat"},
                {"completion": "12 345 6789", "reference": ["the cat sat on the mat", "a dog slept"]},
            ],
            [1.0, 0.0],
        ),
    )

    variant: Literal["rouge_l", "rouge_1", "rouge_2"] = "rouge_l"
    """Which ROUGE is the value; all are components."""
    measure: Literal["f", "precision", "recall"] = "f"
    """Which of its figures."""
    max_chars: int = Field(default=20_000, ge=1)
    """Characters of a completion that are read; the work grows with the product of the lengths. Longer references are
    refused."""

    def score(self, items: list[Item]) -> list[Score]:
        return [self._graded(item) for item in items]

    def _graded(self, item: Item) -> Score:
        try:
            texts = [words(one) for one in references(item, self.max_chars)]
        except ValueError as error:
            return Score.failed("invalid_input", f"rouge {error}")
        completion = words(item.completion[: self.max_chars])
        components: dict[str, float | None] = {}
        notes = {"completion": CUT.format(self.max_chars)} if len(item.completion) > self.max_chars else {}
        for variant, (overlap, shortest) in OVERLAPS.items():
            found = [overlap(completion, one) for one in texts if len(one) >= shortest]
            best = max(found, key=lambda one: one.f, default=None)
            for measure in Overlap._fields:
                components[f"{variant}.{measure}"] = getattr(best, measure, None)
                if best is None:
                    notes[f"{variant}.{measure}"] = f"no reference has {shortest} words of a-z and 0-9"
        key = f"{self.variant}.{self.measure}"
        if components[key] is None:
            return Score.failed("invalid_input", f"{key} is undefined: {notes[key]}")
        return Score(value=components[key], components=components, notes=notes)


def words(text: str) -> list[str]:
    """Return the words of a text as rouge-score's default tokeniser finds them, without stemming."""
    return WORD.findall(text.lower())


def rouge_l(completion: Sequence[str], reference: Sequence[str]) -> Overlap:
    """Return the overlap in the longest common subsequence of words."""
    from rapidfuzz.distance import LCSseq

    return _overlap(LCSseq.similarity(completion, reference), len(completion), len(reference))


def rouge_n(n: int) -> Callable[[Sequence[str], Sequence[str]], Overlap]:
    """Return what measures the overlap in n-grams, each counted as often as both texts have it."""

    def overlap(completion: Sequence[str], reference: Sequence[str]) -> Overlap:
        ours, theirs = (Counter(zip(*(text[i:] for i in range(n)), strict=False)) for text in (completion, reference))
        return _overlap((ours & theirs).total(), ours.total(), theirs.total())

    return overlap


OVERLAPS = {"rouge_1": (rouge_n(1), 1), "rouge_2": (rouge_n(2), 2), "rouge_l": (rouge_l, 1)}
"""How each variant is measured, and the fewest words of a reference for which it is defined."""


def _overlap(shared: int, ours: int, theirs: int) -> Overlap:
    precision, recall = shared / max(1, ours), shared / max(1, theirs)
    both = precision + recall
    return Overlap(2 * precision * recall / both if both else 0.0, precision, recall)
