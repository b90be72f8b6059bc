"""How well a row's reasoning fits its SQL and question: what a policy's score is held against."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from grpo_trainer.sql_cot.rows import Row
from long_work.progress import Progress

Vectors = npt.NDArray[np.floating[Any]]
Target = Literal["embedding", "execution", "column"]
Embed = Callable[[list[str]], Vectors]
PART = 512
"""Texts that are embedded at once: thousands together would fill the memory, and show no progress."""
COLUMNS = {"execution": "execution_match", "column": "target"}


def of(rows: Sequence[Row], kind: Target) -> list[float]:
    """Return each row's target in [0, 1].

    embedding: similarity of the texts, by the model that the reward server uses too. execution: 1 where the SQL gives
    what the reasoning describes, else 0. column: the rows' own.

    Raises:
        ValueError: a row has no such target.
    """
    if kind == "embedding":
        from reward_server.rewards.embeddings import Embeddings  # it loads torch

        encoder = Embeddings()
        encoder.load()
        return embedding_targets(rows, in_parts(encoder.embed))
    return [_column(row, kind, number) for number, row in enumerate(rows, 1)]


def in_parts(embed: Embed) -> Embed:
    """Return an `embed` that takes many texts a part at a time and says on stderr how far it is."""

    def embedded(texts: list[str]) -> Vectors:
        parts = [texts[start : start + PART] for start in range(0, len(texts), PART)]
        vectors = []
        with Progress("targets: texts embedded", len(texts)) as progress:
            for part in parts:
                vectors.append(embed(part))
                progress.advance(len(part))
        return np.concatenate(vectors)

    return embedded


def _column(row: Row, kind: Target, number: int) -> float:
    value = row[COLUMNS[kind]]
    if value is None:
        raise ValueError(f'row {number} has no {COLUMNS[kind]}, which target = "{kind}" needs')
    return float(value)


def embedding_targets(rows: Sequence[Row], embed: Embed) -> list[float]:
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
