"""What a probe found: the gain of every arm, what each adds to the first, accuracy, and personas one by one."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

RESAMPLES = 4000
LEVEL = 0.95
TOP_QUESTIONS = 6
Row = Mapping[str, Any]
Report = dict[str, Any]


def reported(asked: Sequence[Row], calibration: Report | None, manifest: Report, seed: int) -> Report:
    """Return the report as JSON; every arm is compared with those before it."""
    latest = list({row["key"]: row for row in asked}.values())
    arms = list(dict.fromkeys(row["arm"] for row in latest))
    by_arm = {name: [row for row in latest if row["arm"] == name] for name in arms}
    return {
        "arms": [_arm(name, by_arm[name], seed) for name in arms],
        "differences": [
            {"arm": name, "against": other} | difference(by_arm[name], by_arm[other], seed)
            for place, name in enumerate(arms)
            for other in arms[:place]
        ],
        "personas": sorted({row["persona"] for row in latest}),
        "prompts": len({(row["scenario"], row["depth"]) for row in latest}),
        "calibration": calibration or {"pairs": 0, "reason": "not measured; --calibrate N does"},
        "manifest": manifest | {"intervals": {"seed": seed, "resamples": RESAMPLES, "level": LEVEL}},
    }


def difference(rows: Sequence[Row], against: Sequence[Row], seed: int) -> Report:
    """Return by how much one arm gains more than another in the same scenarios, with its interval.

    Seeds and personas are both drawn anew (Owen 2007's pigeonhole bootstrap): another run would have other seeds, and
    other people would be asked; prompts of one persona are no independent witnesses.
    """
    base = _cells(against)
    paired = {
        (seed_, place): float(value - np.mean(theirs))
        for (seed_, place), value in ((key, np.mean(values)) for key, values in _cells_by_seed(rows).items())
        if (theirs := base.get(place))
    }
    return _estimate(paired, seed)


def _arm(name: str, rows: Sequence[Row], seed: int) -> Report:
    scored = [row for row in rows if row["value"] is not None]
    cells = {key: float(np.mean(values)) for key, values in _cells_by_seed(scored).items()}
    return {
        "name": name,
        "seeds": len({row["seed"] for row in rows}),
        "asked": len(rows),
        "failed": dict(Counter(row["status"] for row in rows if row["value"] is None)),
        "gain": _estimate(cells, seed),
        "accuracy_before": _mean(scored, "accuracy_before"),
        "accuracy_after": _mean(scored, "accuracy_after"),
        "information_gain": _mean(scored, "information_gain"),
        "miscalibration_change": _mean(scored, "miscalibration_change"),
        "no_question": sum(row["is_question"] == 0 for row in rows),
        "repeated": float(np.mean([row["repeated"] for row in rows])),
        "by_persona": _by(scored, lambda row: row["persona"]),
        "by_depth": _by(scored, lambda row: str(row["depth"])),
        "by_seed": _by(scored, lambda row: "–" if row["seed"] is None else str(row["seed"])),
        "questions": [
            {"question": text, "share": times / len(rows)}
            for text, times in Counter(row["question"] for row in rows).most_common(TOP_QUESTIONS)
        ],
    }


Place = tuple[str, str, int]
"""Persona, scenario, depth."""


def _cells_by_seed(rows: Sequence[Row]) -> dict[tuple[int | None, Place], list[float]]:
    found: dict[tuple[int | None, Place], list[float]] = {}
    for row in rows:
        if row["value"] is not None:
            found.setdefault((row["seed"], (row["persona"], row["scenario"], row["depth"])), []).append(row["value"])
    return found


def _cells(rows: Sequence[Row]) -> dict[Place, list[float]]:
    found: dict[Place, list[float]] = {}
    for (_, place), values in _cells_by_seed(rows).items():
        found.setdefault(place, []).extend(values)
    return found


def _estimate(cells: Mapping[tuple[int | None, Place], float], seed: int) -> Report:
    """Return the mean and its interval; None with a reason where there is none."""
    if not cells:
        return {"value": None, "interval": None, "n": 0, "reason": "no question has a score"}
    seeds = sorted({key[0] for key in cells}, key=str)
    people = sorted({key[1][0] for key in cells})
    sums, counts = np.zeros((len(seeds), len(people))), np.zeros((len(seeds), len(people)))
    for (which, place), value in cells.items():
        at = seeds.index(which), people.index(place[0])
        sums[at] += value
        counts[at] += 1
    mean = float(sums.sum() / counts.sum())
    if len(people) < 2:
        return {"value": mean, "interval": None, "n": len(cells), "reason": "one persona has no spread"}
    rng = np.random.default_rng(seed)
    weights_s = rng.multinomial(len(seeds), [1 / len(seeds)] * len(seeds), RESAMPLES)
    weights_p = rng.multinomial(len(people), [1 / len(people)] * len(people), RESAMPLES)
    total = np.einsum("rs,sp,rp->r", weights_s, sums, weights_p)
    number = np.einsum("rs,sp,rp->r", weights_s, counts, weights_p)
    low, high = np.quantile(total[number > 0] / number[number > 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "value": mean,
        "interval": {"low": float(low), "high": float(high)},
        "n": len(cells),
        "seeds": len(seeds),
        "personas": len(people),
        "reason": None,
    }


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None


def _by(rows: Sequence[Row], key: Callable[[Row], str]) -> dict[str, Report]:
    names = sorted({key(row) for row in rows})
    groups = {name: [row for row in rows if key(row) == name] for name in names}
    return {
        name: {
            "n": len(some),
            "gain": float(np.mean([row["value"] for row in some])),
            "accuracy_before": _mean(some, "accuracy_before"),
            "accuracy_after": _mean(some, "accuracy_after"),
        }
        for name, some in groups.items()
    }
