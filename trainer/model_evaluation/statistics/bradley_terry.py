"""Bradley–Terry strengths of models from what they won against each other, prompt by prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import evalica
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model_evaluation.statistics.outcome import Outcome, prompts

VIRTUAL_TIE = 1.0
"""Each two models also tie once: without it, one that lost everything would have a strength of −∞."""


@dataclass(frozen=True)
class Games:
    """A row for each prompt and pair of models: model x against model y, by their indices."""

    models: list[str]
    prompt: NDArray[np.int64]
    x: list[int]
    y: list[int]
    value: NDArray[np.float64]  # of x, 0–1

    @classmethod
    def of(cls, outcomes: Mapping[tuple[str, str], Sequence[Outcome]], models: list[str]) -> "Games":
        rows = [
            (one.id, models.index(pair[0]), models.index(pair[1]), one.value)
            for pair, its in outcomes.items()
            for one in prompts(its, pair[0])
        ]
        ids = sorted({row[0] for row in rows})
        place = {id_: index for index, id_ in enumerate(ids)}
        return cls(
            models,
            prompt=np.array([place[row[0]] for row in rows], dtype=np.int64),
            x=[row[1] for row in rows],
            y=[row[2] for row in rows],
            value=np.array([row[3] for row in rows]),
        )

    @property
    def prompts(self) -> int:
        return len(set(self.prompt.tolist()))

    def prompts_of(self, model: int) -> int:
        """Count the prompts in which a model has a verdict."""
        return len({p for p, x, y in zip(self.prompt.tolist(), self.x, self.y, strict=True) if model in (x, y)})

    @property
    def connected(self) -> bool:
        """Whether every model can be compared with every other, if only through third ones."""
        size = len(self.models)
        games = np.array([self.x, self.y], dtype=np.int64).reshape(2, -1)
        graph = coo_array((np.ones(len(self.x)), tuple(games)), shape=(size, size))
        return int(connected_components(graph, directed=False, return_labels=False)) == 1

    def strengths(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fit with each prompt counted so many times; return log strengths, then expected win rates: 2 × models."""
        weight = times[self.prompt]
        won, lost = weight * self.value, weight * (1 - self.value)
        every = list(combinations(range(len(self.models)), 2))
        fit = evalica.bradley_terry(
            [*self.x, *self.x, *(i for i, _ in every)],
            [*self.y, *self.y, *(j for _, j in every)],
            [evalica.Winner.X] * len(self.x) + [evalica.Winner.Y] * len(self.x) + [evalica.Winner.Draw] * len(every),
            index=pd.RangeIndex(len(self.models)),
            weights=[*won.tolist(), *lost.tolist(), *[VIRTUAL_TIE] * len(every)],
            tolerance=1e-8,
            limit=10_000,
        )
        strengths = fit.scores.sort_index().to_numpy(dtype=np.float64)
        against = evalica.pairwise_scores(strengths)
        expected = (against.sum(axis=1) - against.diagonal()) / (len(self.models) - 1)
        log = np.log(strengths)
        return np.concatenate([log - log.mean(), expected])
