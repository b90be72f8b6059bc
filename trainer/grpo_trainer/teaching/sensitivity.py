"""Does a term of the reward change what is learned? The same completions, with its weight at 0 and at 10.

A term that is equal for a whole group, or that repeats another one where advantages are scaled by their spread,
has no gradient at any weight: a bonus that is subtracted from a loss as a constant is the best known of them.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter

import numpy as np

from grpo_trainer.teaching.rollout import Row, group_codes, unweighted
from grpo_trainer.teaching.signals import Floats, Groups, advantage_terms

WEIGHTS = (0.0, 10.0)
SAME = 1e-6
"""Relative to the largest advantage: what two updates may differ by and still be the same."""


def advantages(values: Floats, weights: Floats, groups: Groups, *, scaled: bool) -> Floats:
    """Return the (N,) advantages of (K, N) unweighted terms under K weights."""
    found: Floats = advantage_terms(values * weights[:, None], groups, scaled=scaled).sum(axis=0)
    return found


def differs(one: Floats, other: Floats) -> bool:
    size = max(float(np.abs(one).max(initial=0)), float(np.abs(other).max(initial=0)))
    return bool(np.abs(one - other).max(initial=0) > SAME * size) if size > 0 else False


def pair(values: Floats, weights: Floats, term: int, groups: Groups, *, scaled: bool) -> tuple[Floats, Floats]:
    """Return the (N,) advantages with the term's weight at 0 and at 10; 0 where a completion has no score."""
    scored = np.isfinite(values).all(axis=0)
    found = np.zeros((2, values.shape[1]))
    for row, weight in zip(found, WEIGHTS, strict=True):
        at = weights.copy()
        at[term] = weight
        row[scored] = advantages(values[:, scored], at, groups[scored], scaled=scaled)
    return found[0], found[1]


def compared(values: Floats, groups: Groups) -> int:
    """Return how many of N completions have every score, as has another of their group: only these can differ."""
    scored = groups[np.isfinite(values).all(axis=0)]
    members = np.unique(scored, return_counts=True)[1]
    return int(members[members > 1].sum())


class Sensitivity:
    """Which terms have changed the advantages of no completion so far. One term alone is the whole of them.

    `completions` counts those that could be compared: what failed says nothing of a term.
    """

    def __init__(self, weights: Mapping[str, float], *, scaled: bool) -> None:
        self.names, self.scaled = list(weights), scaled
        self.silent = [name for name, weight in weights.items() if weight and len(weights) > 1]
        self.completions = 0

    def follow(self, rows: list[Row]) -> None:
        if not rows:
            return
        values, groups = unweighted(rows, self.names), group_codes(rows)
        self.completions += compared(values, groups)
        weights = np.array([rows[-1][f"weight/{name}"] for name in self.names], dtype=np.float64)
        self.silent = [
            name
            for name in self.silent
            if not differs(*pair(values, weights, self.names.index(name), groups, scaled=self.scaled))
        ]

    def follow_again(self, rows: Iterable[Row]) -> None:
        """Follow the rows of a ledger, step by step: what has taught before a run was resumed is not silent."""
        for _, step in groupby(rows, key=itemgetter("step")):
            self.follow(list(step))

    def state(self) -> tuple[list[str], int]:
        return self.silent, self.completions

    def restore(self, silent: list[str], completions: int) -> None:
        self.silent, self.completions = silent, completions

    def refusal(self) -> str:
        """Return the sentence that refuses the silent terms."""
        return " ".join(refusal(name, self.completions) for name in self.silent)


def refusal(name: str, completions: int) -> str:
    return (
        f"the reward {name!r} changes nothing: with weight 0 and with weight 10 the same {completions} completions "
        "have the same advantages, so that no weight can teach anything by it. It is equal within every group, or "
        "repeats another term. Take it out, let it depend on the completion, or, where it is only rare, begin with "
        "easier prompts."
    )
