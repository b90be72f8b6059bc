"""Skill of a policy that predicts a target, over the last groups of the run: is it better than a constant?"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guerdon.messages import RewardInfo

WINDOW = 64
"""Groups that are looked back on: the members of one group share their target, so one group has no skill."""
LEAST = 8
"""Groups below which nothing is said."""

Pairs = list[tuple[float, float]]


class RunningSkill:
    """Follows the components `predicted` and `target` of every reward that serves both.

    A completion without a valid prediction takes part in nothing; how many there are is what `format` says. A resumed
    run begins its window anew.
    """

    def __init__(self, served: Mapping[str, RewardInfo]) -> None:
        self._recent: dict[str, deque[Pairs]] = {
            name: deque(maxlen=WINDOW) for name, info in served.items() if {"predicted", "target"} <= {*info.components}
        }

    def follow(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
        """Take in a step's rows; return {"skill": {reward: skill or None}}, or nothing where no reward predicts."""
        for name, recent in self._recent.items():
            groups: dict[str, Pairs] = {}
            for row in rows:
                predicted, target = row.get(f"{name}/predicted"), row.get(f"{name}/target")
                if predicted is not None and target is not None:
                    groups.setdefault(row["group_id"], []).append((predicted, target))
            recent.extend(groups.values())
        found = {name: skill(recent) for name, recent in self._recent.items()}
        return {"skill": found} if found else {}


def skill(groups: Sequence[Pairs] | deque[Pairs]) -> float | None:
    """Return 1 - MSE / MSE of the best constant over the groups' completions, each one prediction.

    The best constant is the mean of these targets, known only in hindsight; 0 is as good as it. None where there are
    fewer than `LEAST` groups or the targets are all equal.
    """
    if len(groups) < LEAST:
        return None
    predicted, target = np.array([pair for group in groups for pair in group], dtype=np.float64).T
    variance = float(target.var())
    return 1 - float(((predicted - target) ** 2).mean()) / variance if variance > 1e-12 else None
