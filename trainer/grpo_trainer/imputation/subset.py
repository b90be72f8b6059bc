"""Which members of each group are scored: a simple random sample, the same on every rank."""

import numpy as np
from numpy.typing import NDArray

from grpo_trainer.imputation import rank_agreement

Mask = NDArray[np.bool_]

FEWEST = rank_agreement.LEAST
"""Scored members of a group: of fewer no rank agreement is known, and the gate would stay as it is for ever."""


def drawn(groups: int, size: int, share: float, seed: tuple[int, ...]) -> Mask:
    """Return (groups * size,) whether each member is scored; groups lie one behind the other, as TRL has them.

    Of each group m members, any m of them equally likely, at least `FEWEST`. Where share·size is no whole number, m is
    the number below or above it, drawn for the group, so that it is share·size on average.
    """
    rng = np.random.default_rng(seed)
    wanted = share * size
    counts = np.floor(wanted) + (rng.random(groups) < wanted - np.floor(wanted))
    counts = np.clip(counts, min(FEWEST, size), size)
    places = rng.random((groups, size)).argsort(axis=1).argsort(axis=1)  # a random rank for each member
    scored: Mask = (places < counts[:, None]).ravel()
    return scored
