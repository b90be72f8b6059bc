"""How well a row's reasoning fits its SQL and question, as sentence embeddings see it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grpo_trainer.sql_cot.rows import Row

Vectors = npt.NDArray[np.floating[Any]]


def embedding_targets(rows: Sequence[Row], embed: Callable[[list[str]], Vectors]) -> list[float]:
    """Return the mean cosine similarity of cot with sql and with nl, clipped to [0, 1]; `embed` gives unit vectors.

    It is what the served reward sql_cot takes as target of an item without a reference.
    """
    if not rows:
        return []
    texts = list(dict.fromkeys(row[name] for row in rows for name in ("cot", "sql", "nl")))
    places = {text: place for place, text in enumerate(texts)}
    vectors = embed(texts)
    cot, sql, nl = (vectors[[places[row[name]] for row in rows]] for name in ("cot", "sql", "nl"))
    similarity = (np.sum(cot * sql, axis=1) + np.sum(cot * nl, axis=1)) / 2
    return [float(value) for value in np.clip(similarity, 0.0, 1.0)]
