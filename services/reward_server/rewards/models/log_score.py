"""The logarithmic score of predicted preferences, what it splits into, and the temperature that calibrates it.

A prediction is the log-odds z that the first of two options is preferred; a label says whether it was. Everything is
in nats per pair.

Why the reward of a question splits. Let q be what is predicted of a label, and y the label. Add and subtract the
entropy that the predictor itself expects to pay:

    log q(y) = -H(q) - (-log q(y) - H(q))

The bracket is what a prediction costs beyond what it says it will. Call its mean over the pairs the miscalibration
m = -F - mean H(q), where F = mean log q(y). For a calibrated predictor its expectation is 0, because then
E[-log q(y)] = H(q); it is positive for one that is too sure of itself. With F taken before and after the answer,

    r = F' - F = [mean H(q) - mean H(q')] - [m' - m] = information gain - change in miscalibration,

for every single item and not only on average. Where q is calibrated, the expected first term is the expected
information gain I(label; answer), and so is E[r]; where it is sharper than calibrated, the second term can make the
reward of a good question negative (Gneiting & Raftery 2007 on the score; Bröcker 2009 on splits of this form).
"""

import math
from collections.abc import Sequence

from reward_server.rewards.models.preference import sigmoid

SHARPEST, FLATTEST = 1e-3, 1e3
"""Between which a temperature is looked for."""


def log_score(log_odds: Sequence[float], labels: Sequence[bool]) -> float:
    """Return F, the mean of log q(label); at most 0."""
    return math.fsum(_log_sigmoid(z if y else -z) for z, y in zip(log_odds, labels, strict=True)) / len(labels)


def accuracy(log_odds: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the share of labels that were held likelier than not, in [0, 1]; a prediction of exactly 1/2 is half."""
    hits = [0.5 if z == 0 else float((z > 0) == y) for z, y in zip(log_odds, labels, strict=True)]
    return math.fsum(hits) / len(hits)


def entropy(log_odds: Sequence[float]) -> float:
    """Return the mean entropy of the predictions, in [0, log 2]."""
    return math.fsum(-_plogp(z) - _plogp(-z) for z in log_odds) / len(log_odds)


def miscalibration(log_odds: Sequence[float], labels: Sequence[bool]) -> float:
    """Return what the predictions cost beyond their own entropy; its expectation is 0 for a calibrated predictor."""
    return -log_score(log_odds, labels) - entropy(log_odds)


def fitted_temperature(log_odds: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the T > 0 that makes log_score(log_odds / T) largest, from held-out pairs (Guo et al. 2017, section 4.2).

    The score is concave in 1/T, so that its slope has one root, which is bisected.

    Raises:
        ValueError: there is none between 0.001 and 1000: no prediction is wrong, or they are no better than chance.
    """
    signed = [z if y else -z for z, y in zip(log_odds, labels, strict=True)]

    def slope(sharpness: float) -> float:
        return math.fsum(z * sigmoid(-sharpness * z) for z in signed)

    low, high = 1 / FLATTEST, 1 / SHARPEST
    if slope(low) <= 0:
        raise ValueError("these predictions are no better than chance on these labels: no temperature calibrates them")
    if slope(high) >= 0:
        raise ValueError("these predictions are never wrong on these labels: give more held-out pairs")
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 1 / low


def _log_sigmoid(z: float) -> float:
    return -math.log1p(math.exp(-z)) if z >= 0 else z - math.log1p(math.exp(z))


def _plogp(z: float) -> float:
    """Return p log p of p = sigmoid(z)."""
    return sigmoid(z) * _log_sigmoid(z)
