"""Bradley–Terry strengths of models from what they won against each other, prompt by prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        won = np.zeros((len(self.models), len(self.models)))  # by the row's model against the column's
        np.add.at(won, (self.x, self.y), weight * self.value)
        np.add.at(won, (self.y, self.x), weight * (1 - self.value))
        i, j = np.triu_indices(len(self.models), 1)
        first, second = i.tolist(), j.tolist()
        fit = evalica.bradley_terry(
            first + second + first,
            second + first + second,
            [evalica.Winner.X] * (2 * len(i)) + [evalica.Winner.Draw] * len(i),
            index=pd.RangeIndex(len(self.models)),
            weights=[*won[i, j].tolist(), *won[j, i].tolist(), *[VIRTUAL_TIE] * len(i)],
            tolerance=1e-8,
            limit=10_000,
        )
        strengths = fit.scores.sort_index().to_numpy(dtype=np.float64)
        against = evalica.pairwise_scores(strengths)
        expected = (against.sum(axis=1) - against.diagonal()) / (len(self.models) - 1)
        log = np.log(strengths)
        return np.concatenate([log - log.mean(), expected])
