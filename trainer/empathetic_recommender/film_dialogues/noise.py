"""Labels of two labelers: the true level and an error whose size is known, so that the best possible R² is known."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from empathetic_recommender.film_dialogues.dialogues import Row

HALF_WIDTHS = {
    "empathy": 0.2,
    "informativeness": 0.2,
    "recommendation": 0.2,
    "engagement": 0.2,
    "overall": 0.1,
    "politeness": 0.0,
}
"""A labeler's error is uniform in ± this. Levels lie in [0.2, 0.8]: nothing is clipped, so no label is biased."""
LABELERS = ("first", "second")


def labelled(rows: Sequence[Row], seed: int) -> list[Row]:
    """Return the rows with `labels`: what each labeler says, by attribute; in [0, 1]."""
    rng = random.Random(f"labels/{seed}")
    return [row | {"labels": {name: _errs(row["levels"], rng) for name in LABELERS}} for row in rows]


def variance(attribute: str, labelers: int = 1) -> float:
    """Return the variance of the error in the mean of so many labelers' labels: (2h)²/12 of each, by their number."""
    return (2 * HALF_WIDTHS[attribute]) ** 2 / 12 / labelers


def _errs(levels: Mapping[str, float], rng: random.Random) -> dict[str, Any]:
    widths = HALF_WIDTHS
    return {name: round(level + rng.uniform(-widths[name], widths[name]), 4) for name, level in levels.items()}
