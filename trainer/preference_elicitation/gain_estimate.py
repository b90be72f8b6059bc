"""A mean gain with its interval: prompts of one persona are no independent witnesses, personas and seeds are.

Another run would have other seeds, and other people would be asked. Two intervals say how far that carries: the
pigeonhole bootstrap (Owen 2007), which draws seeds and personas anew and is too narrow where there are few of either,
and Student's t over personas, which knows that there are few. The wider one is kept.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

RESAMPLES = 4000
LEVEL = 0.95
Floats = NDArray[np.float64]
Place = tuple[str, str, int]
"""Persona, scenario, depth."""
Interval = dict[str, Any]
"""low, high, and the method in words."""


def estimate(cells: Mapping[tuple[int | None, Place], float], seed: int) -> dict[str, Any]:
    """Return the mean of numbers by seed and place, both intervals and the wider of them.

    None with a reason where there is none.
    """
    if not cells:
        return {"value": None, "interval": None, "n": 0, "reason": "no question has a score"}
    sums, counts = _tables(cells)
    seeds, personas = sums.shape
    mean = float(sums.sum() / counts.sum())
    if personas < 2:
        return {"value": mean, "interval": None, "n": len(cells), "reason": "one persona has no spread"}
    intervals = [_bootstrap(sums, counts, seed), _student(sums, counts)]
    return {
        "value": mean,
        "interval": max(intervals, key=lambda one: one["high"] - one["low"]),
        "intervals": intervals,
        "n": len(cells),
        "seeds": seeds,
        "personas": personas,
        "reason": None,
    }


def _tables(cells: Mapping[tuple[int | None, Place], float]) -> tuple[Floats, Floats]:
    """Return the sums of the cells and how many there are, each (S, P) by seed and persona."""
    seeds = sorted({key[0] for key in cells}, key=str)
    people = sorted({key[1][0] for key in cells})
    sums, counts = np.zeros((len(seeds), len(people))), np.zeros((len(seeds), len(people)))
    for (which, place), value in cells.items():
        at = seeds.index(which), people.index(place[0])
        sums[at] += value
        counts[at] += 1
    return sums, counts


def _bootstrap(sums: Floats, counts: Floats, seed: int) -> Interval:
    seeds, personas = sums.shape
    rng = np.random.default_rng(seed)
    weights_s = rng.multinomial(seeds, [1 / seeds] * seeds, RESAMPLES)
    weights_p = rng.multinomial(personas, [1 / personas] * personas, RESAMPLES)
    total = np.einsum("rs,sp,rp->r", weights_s, sums, weights_p)
    number = np.einsum("rs,sp,rp->r", weights_s, counts, weights_p)
    low, high = np.quantile(total[number > 0] / number[number > 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    clusters = f"{personas} personas" if seeds == 1 else f"{seeds} seeds and {personas} personas"
    method = f"bootstrap over {clusters}, {RESAMPLES} resamples"
    return {"low": float(low), "high": float(high), "method": method}


def _student(sums: Floats, counts: Floats) -> Interval:
    """Return the interval of a ratio of sums over personas (Cochran 1977, 6.4).

    Where every persona was asked as often, that is the t interval of the personas' means.
    """
    total, number = sums.sum(axis=0), counts.sum(axis=0)
    personas, mean = len(total), total.sum() / number.sum()
    off = (total - mean * number) / number.mean()
    error = float(np.sqrt((off**2).sum() / (personas * (personas - 1))))
    half = float(student_t.ppf((1 + LEVEL) / 2, personas - 1)) * error
    method = f"Student's t over {personas} personas"
    return {"low": float(mean) - half, "high": float(mean) + half, "method": method}
