"""The diversity of one set of completions, in every metric that the reward `diversity` has."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from guerdon.messages import Range
from reward_server.rewards.diversity import Diversity
from reward_server.rewards.variety import cosine, ngrams
from reward_server.rewards.variety.compression import compression
from reward_server.rewards.variety.self_bleu import against_others, self_bleu
from reward_server.rewards.variety.words import tokens

if TYPE_CHECKING:
    from reward_server.rewards.variety.cosine import Vectors

ORDERS = (1, 2, 3, 4)
LEXICAL = (
    *(f"distinct_{n}" for n in ORDERS),
    *(f"ead_{n}" for n in ORDERS),
    "self_bleu_2.method1",
    "self_bleu_4.method1",
    "compression",
    "novelty",
    "unique",
)
SEMANTIC = ("semantic", "vendi")
BOUNDS = {**Diversity.components, "unique": Range(low=0, high=1, better="higher")}
"""The range and direction of every metric."""
HEADLINE = ("distinct_2", "semantic")
"""What the report's sentences speak of."""
Metrics = dict[str, float | None]


def lexical(texts: Sequence[str], vocabulary: int) -> Metrics:
    """Return what is counted in words and bytes; None where the set has fewer than two texts, or no n-grams.

    `novelty` is the mean over the texts of the share of their 4-grams that no other has; `unique` the share of
    different texts.

    Args:
        vocabulary: V of the expectation-adjusted `ead_n`.
    """
    if len(texts) < 2:
        return dict.fromkeys(LEXICAL)
    counts = ngrams.NgramCounts([tokens(text) for text in texts])
    words = counts.of(1).total  # without a word there is nothing to be alike in
    own = ngrams.novelty(counts)
    return {
        **{f"distinct_{n}": ngrams.distinct(counts, n) for n in ORDERS},
        **{f"ead_{n}": ngrams.ead(counts, n, vocabulary) for n in ORDERS},
        **{f"self_bleu_{n}.method1": self_bleu(against_others(counts, n)) if words else None for n in (2, 4)},
        "compression": compression(texts),
        "novelty": sum(own) / len(own),
        "unique": len(set(texts)) / len(texts),
    }


def semantic(vectors: "Vectors") -> Metrics:
    """Return what is measured between the unit embeddings (k, d) of the texts; None for fewer than two."""
    if len(vectors) < 2:
        return dict.fromkeys(SEMANTIC)
    return {"semantic": cosine.semantic(vectors), "vendi": cosine.vendi(vectors)}
