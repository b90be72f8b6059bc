"""AUC over all rows at once: an average of batches' AUCs depends on how the rows were batched."""

from collections.abc import Sequence

import numpy as np


def auc_global(scores: Sequence[float], relevant: Sequence[bool]) -> float | None:
    """Return the probability that a relevant item scores above another one, ties counting half.

    None where all items are relevant, or none is.
    """
    from scipy.stats import rankdata

    hit = np.asarray(relevant, dtype=bool)
    positive, negative = int(hit.sum()), int((~hit).sum())
    if not positive or not negative:
        return None
    ranks = rankdata(scores)
    return float((ranks[hit].sum() - positive * (positive + 1) / 2) / (positive * negative))
