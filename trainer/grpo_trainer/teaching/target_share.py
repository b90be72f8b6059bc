"""The weight at which a reward term carries a given share of the advantage: pure functions of terms and groups.

With C the term's values and F the sum of the other weighted terms, both centred within groups, the advantage is
F + λC, divided by each group's own spread where GRPO scales by group. The term's share of it (signals.py) is

    s(λ) = Σ_g n_g (λb_g + λ²c_g) / (a_g + 2λb_g + λ²c_g) / Σ_g n_g,   a = |F|², b = ⟨F, C⟩, c = |C|²,

with n_g the degrees of freedom of a group that spreads; without the scaling, all groups are one. s(0) = 0 and
s(∞) = 1, and for one group every share in (0, 1) has exactly one weight λ > 0, since the equation is quadratic in λ
with roots of opposite signs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grpo_trainer.teaching.signals import TINY, Floats, Groups, centred

HALVINGS = 60
"""Of the interval of log λ; after so many its ends are the same float."""
REACHED = 1e-3
"""How near to the target the share must be at a root; bisection ends at a jump just as well."""
SWEEPS = 500
"""Over several terms with a target, each solved given the others; a handful, but for terms that undo one another."""
SETTLED = 1e-9


@dataclass(frozen=True)
class Moments:
    """What the share of one term depends on; arrays over groups, or over the one of an unscaled advantage."""

    rest: Floats
    both: Floats
    own: Floats
    freedom: Floats

    def share(self, weight: float) -> float:
        """Return s(λ); NaN when the advantage spreads nowhere."""
        part = weight * self.both + weight**2 * self.own
        total = self.rest + weight * self.both + part
        alive = total > TINY * (self.rest + weight**2 * self.own)
        if not alive.any():
            return np.nan
        return float(np.average(part[alive] / total[alive], weights=self.freedom[alive]))


def moments(term: Floats, rest: Floats, groups: Groups, *, scaled: bool) -> Moments:
    """Return the moments of `term` (unweighted) beside `rest` (weighted), both of N scored completions."""
    own, other = centred(term, groups), centred(rest, groups)
    codes, members = np.unique(groups, return_inverse=True)[1], np.unique(groups, return_counts=True)[1]
    rest_sum, both, own_sum = (
        np.bincount(codes, weights=product).astype(np.float64) for product in (other**2, other * own, own**2)
    )
    if not scaled:
        whole = np.ones(1)
        return Moments(whole * rest_sum.sum(), whole * both.sum(), whole * own_sum.sum(), whole)
    freedom = (members - 1).astype(np.float64)
    kept = freedom > 0
    return Moments(rest_sum[kept], both[kept], own_sum[kept], freedom[kept])


def solved(found: Moments, target: float, low: float, high: float) -> float | None:
    """Return the λ in [low, high] with s(λ) = target, or the end that comes nearest to it.

    None when no λ matters: the term spreads in no group, or nothing else does. None too where s jumps over the target,
    because the term undoes the others there: with C = -F nothing is left of the advantage at λ = 1.
    """
    if not found.own.size or not (found.own.any() and found.rest.any()):
        return None
    if found.share(high) < target:
        return high
    if found.share(low) > target:
        return low
    left, right = np.log(low), np.log(high)
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        if found.share(float(np.exp(middle))) < target:
            left = middle
        else:
            right = middle
    root = float(np.exp((left + right) / 2))
    return root if abs(found.share(root) - target) < REACHED else None  # false for NaN too


def weights_for(
    values: Floats,
    weights: Sequence[float],
    targets: Mapping[int, float],
    bounds: Mapping[int, tuple[float, float]],
    groups: Groups,
    *,
    scaled: bool,
) -> list[float]:
    """Return the weights of K terms at which those with a target carry it.

    Args:
        values: (K, N) unweighted terms; completions without all scores are left out.
        weights: K weights to begin with; their signs stay.
        targets: index of a term -> its share, in (0, 1).
        bounds: index of a term -> the least and the largest |weight| allowed.
        groups: (N,) which group each completion is of.
        scaled: whether each group's advantages are divided by its spread.
    """
    scored = np.isfinite(values).all(axis=0)
    values, groups = values[:, scored], groups[scored]
    found = list(weights)
    for _ in range(SWEEPS):
        before = list(found)
        for index, target in targets.items():
            sign = -1.0 if found[index] < 0 else 1.0
            others = sum(found[k] * values[k] for k in range(len(found)) if k != index)
            rest = np.broadcast_to(np.asarray(others, np.float64), groups.shape)
            weight = solved(moments(sign * values[index], rest, groups, scaled=scaled), target, *bounds[index])
            found[index] = found[index] if weight is None else sign * weight
        if np.allclose(found, before, rtol=SETTLED, atol=0):
            break
    return found
