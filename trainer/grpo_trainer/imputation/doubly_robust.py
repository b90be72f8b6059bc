"""The reward of every member of a group of which only some were scored."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def corrected(predicted: Floats, truth: Floats, drawn: Mask, size: int) -> Floats:
    """Return (N,) rewards, groups of `size` one behind the other, whose mean over the random subset is the truth.

    `truth` counts where `drawn`, and is NaN there for a member whose reward failed: such a member stays NaN, because
    a prediction in its place would hide the failure. A group with fewer than two scores left has no imputed rewards.

    For n members without a failure, of which m were scored, with e = truth - predicted and ē its mean over these m:

        reward_i = predicted_i + ē + scored_i / q · (e_i - ē),    q = (m - 1) / (n - 1)

    It is the doubly robust estimate (Robins, Rotnitzky & Zhao 1994), reward = predicted + scored/q · (truth -
    predicted), written for differences within a group, which are all that GRPO uses. q is the probability with which
    another member was scored, given that this one was: the inclusion probability of a difference. Taking ē out first
    costs no bias (E ē is the group's mean e, and E scored_i (e_i - ē) = q · (e_i - mean e)), and an error in the
    predicted level of the whole group, which m/n would turn into a gap between scored and imputed members, cancels.
    """
    out = np.full_like(predicted, np.nan)
    scored = drawn & np.isfinite(truth)
    for start in range(0, len(predicted), size):
        group = slice(start, start + size)
        out[group] = _group(predicted[group], truth[group], drawn[group], scored[group])
    return out


def _group(predicted: Floats, truth: Floats, drawn: Mask, scored: Mask) -> Floats:
    failed = drawn & ~scored
    members, scores = int((~failed).sum()), int(scored.sum())
    if scores < 2:
        return np.where(scored, truth, np.nan)
    error = np.where(scored, truth - predicted, 0.0)
    level = error.sum() / scores
    q = (scores - 1) / (members - 1)
    rewards = predicted + level + np.where(scored, (error - level) / q, 0.0)
    return np.where(failed, np.nan, rewards)
