"""How much each completion of a group adds to the group's variety."""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from guerdon.messages import Range, Score
from reward_server.rewards import Item, Reward

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOKEN = re.compile(r"\w+|[^\w\s]")
TOKENIZER_ID = "words_and_marks.v1"
"""Lower-cased runs of word characters, and every other visible character by itself."""

Ngram = tuple[str, ...]


class Diversity(Reward):
    """Each member's own contribution to the variety of its group; the group's set metrics are components.

    A set metric given to every member alike is constant in the group and has no advantage at all, so the value is
    the member's own: `novelty` = share of its n-grams that no sibling has (n = 4, or the member's length if shorter),
    `semantic` = 1 - mean cosine to its siblings, `leave_one_out` = what distinct_2 loses without it.
    """

    scope: ClassVar[Literal["item", "group"]] = "group"
    reads: ClassVar[tuple[str, ...]] = ("completion",)
    components: ClassVar[dict[str, Range]] = {
        "distinct_1": Range(low=0, high=1, better="higher"),
        "distinct_2": Range(low=0, high=1, better="higher"),
        "self_bleu_2.method1": Range(low=0, high=1, better="lower"),
        "self_bleu_4.method1": Range(low=0, high=1, better="lower"),
        "novelty": Range(low=0, high=1, better="higher"),
        "leave_one_out": Range(low=-1, high=1, better="higher"),
        "semantic": Range(low=0, high=2, better="higher"),
        "semantic.own": Range(low=0, high=2, better="higher"),
    }
    embeds: ClassVar[bool] = True

    value: Literal["novelty", "semantic", "leave_one_out"] = "novelty"
    """Which contribution is the value."""
    semantic: bool = False
    """Report the semantic components too; costs one embedding per completion. Implied by value = "semantic"."""

    def served_components(self) -> dict[str, Range]:
        hidden = set() if self.wants_vectors else {"semantic", "semantic.own"}
        return {name: bounds for name, bounds in self.components.items() if name not in hidden}

    @property
    def wants_vectors(self) -> bool:
        return self.semantic or self.value == "semantic"

    def texts(self, item: Item) -> list[str]:
        return [item.completion] if self.wants_vectors else []

    def score(self, items: list[Item]) -> list[Score]:
        if len(items) < 2:
            return [Score.failed("invalid_input", "diversity is undefined for a group of one") for _ in items]
        texts = [tokens(item.completion) for item in items]
        shared: dict[str, float | None] = {
            "distinct_1": distinct(texts, 1),
            "distinct_2": distinct(texts, 2),
            "self_bleu_2.method1": self_bleu(texts, 2),
            "self_bleu_4.method1": self_bleu(texts, 4),
        }
        own: list[dict[str, float | None]] = [
            {"novelty": novel, "leave_one_out": change}
            for novel, change in zip(novelty(texts), leave_one_out(texts, 2), strict=True)
        ]
        if self.wants_vectors:
            vectors = _stacked(items)
            shared["semantic"] = semantic(vectors)
            for components, value in zip(own, semantic_own(vectors), strict=True):
                components["semantic.own"] = value
        key = "semantic.own" if self.value == "semantic" else self.value
        return [_score(key, {**shared, **components}) for components in own]


def _score(key: str, components: dict[str, float | None]) -> Score:
    notes = {name: "no n-grams: the texts are too short" for name, value in components.items() if value is None}
    if components[key] is None:
        return Score.failed("invalid_input", f"{key} is undefined: {notes[key]}")
    return Score(value=components[key], components=components, notes=notes)


def tokens(text: str) -> list[str]:
    return TOKEN.findall(text.lower())


def ngrams(words: Sequence[str], n: int) -> list[Ngram]:
    return list(zip(*(words[i:] for i in range(n)), strict=False))


def distinct(texts: Sequence[Sequence[str]], n: int) -> float | None:
    """Return distinct n-grams / n-grams over the whole group, in (0, 1]; None without n-grams (Li et al. 2016)."""
    counts = Counter(gram for words in texts for gram in ngrams(words, n))
    return len(counts) / counts.total() if counts else None


def leave_one_out(texts: Sequence[Sequence[str]], n: int) -> list[float | None]:
    """Return per text by how much `distinct` of the others lies below that of all; None where it is undefined."""
    counts = Counter(gram for words in texts for gram in ngrams(words, n))
    total, whole = counts.total(), len(counts)
    changes: list[float | None] = []
    for words in texts:
        own = Counter(ngrams(words, n))
        others = total - own.total()
        left = whole - sum(counts[gram] == count for gram, count in own.items())
        changes.append(whole / total - left / others if others else None)
    return changes


def novelty(texts: Sequence[Sequence[str]], n: int = 4) -> list[float | None]:
    """Return per text the share of its n-grams that no sibling has, in [0, 1]; an empty text has no novelty, 0.

    A text shorter than n is taken as one n-gram of its own length, so that short answers compare as wholes.
    """
    grams = [set(ngrams(words, n)) or {tuple(words)} for words in texts]
    owners = Counter(gram for own in grams for gram in own)
    return [
        sum(owners[gram] == 1 for gram in own) / len(own) if words else 0.0
        for words, own in zip(texts, grams, strict=True)
    ]


def self_bleu(texts: Sequence[Sequence[str]], order: int) -> float | None:
    """Return the mean over i of BLEU-`order` of text i against all others, in [0, 1] (Zhu et al. 2018, Texygen).

    Smoothing is NLTK's method1 (Chen & Cherry 2014): a zero numerator counts 0.1. Brevity uses the closest reference
    length, the shorter on ties. Linear time: the clip of an n-gram against the others is the group's largest count of
    it, or the second largest for the text that holds the largest alone. None for fewer than two texts.
    """
    if len(texts) < 2:
        return None
    precisions = [_precisions(texts, n) for n in range(1, order + 1)]
    lengths = sorted(len(words) for words in texts)
    scores = []
    for i, words in enumerate(texts):
        hits, _ = precisions[0][i]
        if hits == 0:  # NLTK: no shared word at all is 0, before any smoothing
            scores.append(0.0)
            continue
        logs = [math.log((hits or 0.1) / max(1, total)) for hits, total in (p[i] for p in precisions)]
        scores.append(_brevity(len(words), lengths) * math.exp(math.fsum(logs) / order))
    return math.fsum(scores) / len(scores)


def _precisions(texts: Sequence[Sequence[str]], n: int) -> list[tuple[int, int]]:
    """Return per text (clipped n-gram hits against the others, n-grams)."""
    counts = [Counter(ngrams(words, n)) for words in texts]
    first: dict[Ngram, int] = {}
    second: dict[Ngram, int] = {}
    for own in counts:
        for gram, count in own.items():
            largest = first.get(gram, 0)
            if count > largest:
                first[gram], second[gram] = count, largest
            elif count > second[gram]:
                second[gram] = count
    return [
        (
            sum(min(count, first[gram] if count < first[gram] else second[gram]) for gram, count in own.items()),
            own.total(),
        )
        for own in counts
    ]


def _brevity(length: int, lengths: Sequence[int]) -> float:
    """Return the brevity penalty of a text against the others, from the sorted lengths of all texts.

    The closest other length is one of three neighbours: the text's own place holds its own length once.
    """
    place = bisect_left(lengths, length)
    others = [*lengths[max(0, place - 1) : place], *lengths[place + 1 : place + 2]]
    closest = min(others, key=lambda other: (abs(other - length), other))
    if length > closest:
        return 1.0
    return math.exp(1 - closest / length) if length else 0.0


def _stacked(items: list[Item]) -> "NDArray[np.float64]":
    import numpy as np

    return np.stack([item.vectors[0] for item in items]).astype(np.float64)


def semantic(vectors: "NDArray[np.float64]") -> float:
    """Return the mean over pairs of 1 - cosine of unit vectors (n, d), in [0, 2]: 1 - (‖Σe‖² - n)/(n(n-1))."""
    n = len(vectors)
    total = vectors.sum(axis=0)
    return float(1 - (total @ total - n) / (n * (n - 1)))


def semantic_own(vectors: "NDArray[np.float64]") -> list[float]:
    """Return per unit vector 1 - its mean cosine to the others, in [0, 2]."""
    total = vectors.sum(axis=0)
    return [float(value) for value in 1 - (vectors @ total - 1) / (len(vectors) - 1)]
