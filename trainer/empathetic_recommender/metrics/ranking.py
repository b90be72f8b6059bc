"""How well a list ranked from best to worst holds what it should: recall@k, MRR@k, NDCG@k, RT@k.

All of them refuse, as `top` does, a k below 1 and a list in which an item is repeated.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

NOTHING_RELEVANT = "no row has a relevant item"


@dataclass(frozen=True)
class Ranked:
    """One recommendation.

    Attributes:
        items: from best to worst, without repetition.
        relevant: those that were recommended in truth.
        liked: those of them that the seeker liked.
    """

    items: Sequence[str]
    relevant: Collection[str]
    liked: Collection[str] = ()


def top(items: Sequence[str], k: int) -> Sequence[str]:
    """Return the first k.

    Raises:
        ValueError: k is below 1, or an item is there twice: it would be counted twice.
    """
    if k < 1:
        raise ValueError(f"k = {k}: a list has a first item, and no item before it")
    if len(set(items)) != len(items):
        twice = next(item for item in items if items.count(item) > 1)
        raise ValueError(f"{twice!r} is in the list more than once")
    return items[:k]


def recall_at(items: Sequence[str], relevant: Collection[str], k: int) -> float | None:
    """Return the share of the relevant items among the first k; None where nothing is relevant."""
    wanted = set(relevant)
    found = wanted & set(top(items, k))
    return len(found) / len(wanted) if wanted else None


def mrr_at(items: Sequence[str], relevant: Collection[str], k: int) -> float | None:
    """Return 1/rank of the first relevant item, 0 where it is not among the first k; None where nothing is relevant."""
    first = top(items, k)
    if not relevant:
        return None
    return next((1 / rank for rank, item in enumerate(first, 1) if item in relevant), 0.0)


def ndcg_at(items: Sequence[str], relevant: Collection[str], k: int) -> float | None:
    """Return Σ 1/log2(1 + rank) over the relevant items among the first k, by that of the best order; binary gains."""
    wanted, first = set(relevant), top(items, k)
    if not wanted:
        return None
    gained = math.fsum(1 / math.log2(1 + rank) for rank, item in enumerate(first, 1) if item in wanted)
    best = math.fsum(1 / math.log2(1 + rank) for rank in range(1, min(k, len(wanted)) + 1))
    return gained / best


def ranking_metrics(rows: Sequence[Ranked], ks: Sequence[int] = (1, 3, 10)) -> dict[str, float | None]:
    """Return the means over rows: `recall@k`, `MRR@k`, `NDCG@k`, and `RT@k`, the recall over liked items.

    A row without relevant (for RT, liked) items is in no mean; a mean over no rows is None.
    """
    found: dict[str, float | None] = {}
    for k in ks:
        found[f"recall@{k}"] = _mean([recall_at(row.items, row.relevant, k) for row in rows])
        found[f"MRR@{k}"] = _mean([mrr_at(row.items, row.relevant, k) for row in rows])
        found[f"NDCG@{k}"] = _mean([ndcg_at(row.items, row.relevant, k) for row in rows])
        found[f"RT@{k}"] = _mean([recall_at(row.items, row.liked, k) for row in rows])
    return found


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Return items from the highest score to the lowest; equal ones by their names."""
    return sorted(scores, key=lambda item: (-scores[item], item))


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None
