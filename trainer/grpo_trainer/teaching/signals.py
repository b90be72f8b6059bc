"""Signals that tell whether training is real: pure functions of one step's rewards, terms, groups and lengths.

Arrays hold N completions (and K reward terms); a completion without a score is NaN in all of them. What is undefined
is None, never 0: a share of nothing and a correlation with a constant say nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]

TINY = 1e-12
"""Variances below this times the squared scale of the values are rounding, not spread."""


def stats(values: Floats) -> dict[str, float | None]:
    """Return mean, std (ddof 1), min and max of the scored values; None where there are too few."""
    scored = values[np.isfinite(values)]
    if scored.size == 0:
        return dict.fromkeys(("mean", "std", "min", "max"))
    spread = float(scored.std(ddof=1)) if scored.size > 1 else None
    return {
        "mean": float(scored.mean()),
        "std": 0.0 if spread is not None and scored.min() == scored.max() else spread,  # rounding is no spread
        "min": float(scored.min()),
        "max": float(scored.max()),
    }


def failed_share(values: Floats) -> float | None:
    """Return the share of completions without a score, in [0, 1]."""
    return float(np.isnan(values).mean()) if values.size else None


def ceiling_share(values: Floats, high: float | None) -> float | None:
    """Return the share of scored completions at the reward's upper bound; None when it has no bound."""
    scored = values[np.isfinite(values)]
    if high is None or scored.size == 0:
        return None
    return float((scored >= high - 1e-9 * max(1.0, abs(high))).mean())


def dead_group_share(values: Floats, groups: Groups) -> float | None:
    """Return the share of groups that teach nothing: fewer than two members scored, or all of them alike."""
    if values.size == 0:
        return None
    return float(np.mean([not _spreads(values[groups == group]) for group in np.unique(groups)]))


def centred(values: Floats, groups: Groups) -> Floats:
    """Return each value minus the mean of its group's scored members; NaN stays NaN."""
    out = np.full_like(values, np.nan)
    for group in np.unique(groups):
        members = (groups == group) & np.isfinite(values)
        out[members] = values[members] - values[members].mean() if members.any() else np.nan
    return out


def advantage_terms(terms: Floats, groups: Groups, *, scaled: bool) -> Floats:
    """Return (K, N) terms of the advantage, A_k = (T_k - mean_g T_k) [/ std_g of the total]; their sum over k is A.

    `terms` are the weighted terms T_k. A group whose total does not spread contributes zeros.
    """
    scored = np.isfinite(terms).all(axis=0)
    whole = np.where(scored, terms, np.nan)
    total = whole.sum(axis=0)
    parts = np.stack([centred(term, groups) for term in whole]) if len(whole) else whole
    if not scaled:
        return parts
    for group in np.unique(groups):
        members = (groups == group) & scored
        parts[:, members] *= 1 / total[members].std(ddof=1) if _spreads(total[members]) else 0.0
    return parts


def signal_shares(terms: Floats, groups: Groups, *, scaled: bool) -> list[float | None]:
    """Return how much of the advantage's variance each term carries: s_k = Cov(A, A_k) / Var(A), K numbers.

    They sum to 1. A negative one works against the advantage. All None when the advantage has no variance.
    """
    parts = advantage_terms(terms, groups, scaled=scaled)
    parts = parts[:, np.isfinite(parts).all(axis=0)]
    total = parts.sum(axis=0)
    variance = float((total**2).sum())  # group-centred, so the means are zero
    if parts.size == 0 or variance <= TINY * float((parts**2).sum()):
        return [None] * len(terms)
    return [float((total * part).sum()) / variance for part in parts]


def sign_flip_shares(terms: Floats, groups: Groups) -> list[float | None]:
    """Return for each term how often it decides: the share of completions whose advantage's sign it turns.

    sign(A) against sign(A - A_k), where both have one; None where no completion does, as with a single term.
    """
    parts = advantage_terms(terms, groups, scaled=False)
    parts = parts[:, np.isfinite(parts).all(axis=0)]
    size = np.abs(parts).sum(axis=0) * 1e-9  # below it a difference is rounding
    total = parts.sum(axis=0)
    shares: list[float | None] = []
    for part in parts:
        rest = total - part
        both = (np.abs(total) > size) & (np.abs(rest) > size)
        shares.append(float((np.sign(total[both]) != np.sign(rest[both])).mean()) if both.any() else None)
    return shares


def length_correlation(values: Floats, lengths: Floats) -> float | None:
    """Return Pearson's r in [-1, 1] of reward and completion length over the scored completions."""
    scored = np.isfinite(values)
    x, y = values[scored], lengths[scored]
    if not (_spreads(x) and _spreads(y)):
        return None
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def of_step(
    terms: Mapping[str, Floats],
    groups: Groups,
    lengths: Floats,
    *,
    scaled: bool,
    highs: Mapping[str, float | None],
    earned: Floats | None = None,
) -> dict[str, object]:
    """Return every signal of one step, as the ledger's line names them.

    Args:
        terms: the K weighted terms that were trained on.
        highs: the upper bounds that these have as they are served, where they have one.
        earned: (N,) the sum of the terms as they were served, where some of `terms` are imputed: those know no bound.
    """
    names = list(terms)
    matrix = np.stack([terms[name] for name in names])
    total = matrix.sum(axis=0)  # NaN as soon as one term is
    bounds = [highs.get(name) for name in names]
    high = None if any(bound is None for bound in bounds) else float(sum(bound or 0.0 for bound in bounds))
    return {
        "reward": stats(total),
        "terms": {name: stats(term) for name, term in terms.items()},
        "failed_share": failed_share(total),
        "dead_group_share": dead_group_share(total, groups),
        "ceiling_share": ceiling_share(total if earned is None else earned, high),
        "signal_share": _named(names, signal_shares(matrix, groups, scaled=scaled)),
        "sign_flip_share": _named(names, sign_flip_shares(matrix, groups)),
        "length_correlation": length_correlation(total, lengths),
    }


def _named(names: Sequence[str], shares: Sequence[float | None]) -> dict[str, float | None]:
    return dict(zip(names, shares, strict=True))


def _spreads(values: Floats) -> bool:
    scored = values[np.isfinite(values)]
    if scored.size < 2:
        return False
    return bool(scored.var() > TINY * max(float((scored**2).mean()), np.finfo(float).tiny))
