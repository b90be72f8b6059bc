"""What a probe found: the gain of every arm, what each adds to the first, accuracy, and personas one by one."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from preference_elicitation.gain_estimate import LEVEL, RESAMPLES, Place, estimate

TOP_QUESTIONS = 6
KEPT = "the wider of a bootstrap over seeds and personas and of Student's t over personas"
Row = Mapping[str, Any]
Report = dict[str, Any]


def reported(asked: Sequence[Row], calibration: Report | None, manifest: Report, seed: int) -> Report:
    """Return the report of rows, one a question, as JSON; every arm is compared with those before it."""
    arms = list(dict.fromkeys(row["arm"] for row in asked))
    by_arm = {name: [row for row in asked if row["arm"] == name] for name in arms}
    return {
        "arms": [_arm(name, by_arm[name], seed) for name in arms],
        "differences": [
            {"arm": name, "against": other} | difference(by_arm[name], by_arm[other], seed)
            for place, name in enumerate(arms)
            for other in arms[:place]
        ],
        "personas": sorted({row["persona"] for row in asked}),
        "prompts": len({(row["scenario"], row["depth"]) for row in asked}),
        "calibration": calibration or {"pairs": 0, "reason": "not measured; --calibrate N does"},
        "manifest": manifest | {"intervals": {"seed": seed, "resamples": RESAMPLES, "level": LEVEL, "kept": KEPT}},
    }


def difference(rows: Sequence[Row], against: Sequence[Row], seed: int) -> Report:
    """Return by how much one arm gains more than another in the same scenarios, with the interval of `estimate`."""
    base = _cells(against)
    paired = {
        (seed_, place): float(value - np.mean(theirs))
        for (seed_, place), value in ((key, np.mean(values)) for key, values in _cells_by_seed(rows).items())
        if (theirs := base.get(place))
    }
    return estimate(paired, seed)


def _arm(name: str, rows: Sequence[Row], seed: int) -> Report:
    scored = [row for row in rows if row["value"] is not None]
    came = [row for row in rows if row["question"] is not None]
    cells = {key: float(np.mean(values)) for key, values in _cells_by_seed(rows).items()}
    return {
        "name": name,
        "seeds": len({row["seed"] for row in rows}),
        "asked": len(rows),
        "failed": dict(Counter(row["status"] for row in rows if row["value"] is None)),
        "gain": estimate(cells, seed),
        "accuracy_before": _mean(scored, "accuracy_before"),
        "accuracy_after": _mean(scored, "accuracy_after"),
        "information_gain": _mean(scored, "information_gain"),
        "miscalibration_change": _mean(scored, "miscalibration_change"),
        "no_question": sum(row["is_question"] == 0 for row in rows),
        "repeated": _mean(came, "repeated"),
        "by_persona": _by(scored, lambda row: row["persona"]),
        "by_depth": _by(scored, lambda row: str(row["depth"])),
        "by_seed": _by(scored, lambda row: "–" if row["seed"] is None else str(row["seed"])),
        "questions": [
            {"question": text, "share": times / len(came)}
            for text, times in Counter(row["question"] for row in came).most_common(TOP_QUESTIONS)
        ],
    }


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
