"""The weights of a run whose terms have target shares: solved again after every batch, on a window of the last ones."""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import groupby

from grpo_trainer.teaching.rollout import Row, group_codes, unweighted
from grpo_trainer.teaching.target_share import weights_for

WINDOW = 16
"""Generation batches that a weight is solved on: enough to be steady, few enough to follow the policy."""
SPAN = 100.0
"""A weight stays within this factor of the one it began with."""


class RunningWeights:
    """Follows the batches of a run; every rank that follows the same ones has the same weights.

    Nothing of it needs a checkpoint: the ledger's rollouts carry each term with the weight it had.
    """

    def __init__(self, weights: Mapping[str, float], targets: Mapping[str, float], *, scaled: bool) -> None:
        self.weights = dict(weights)
        self.scaled = scaled
        names = list(weights)
        self._targets = {names.index(name): share for name, share in targets.items()}
        self._bounds = {k: (abs(weights[names[k]]) / SPAN, abs(weights[names[k]]) * SPAN) for k in self._targets}
        self._window: deque[list[Row]] = deque(maxlen=WINDOW)

    def __bool__(self) -> bool:
        return bool(self._targets)

    def follow(self, batch: list[Row]) -> dict[str, float]:
        """Return the weights for the next batch."""
        self._window.append(batch)
        rows = [row for kept in self._window for row in kept]
        solved = weights_for(
            unweighted(rows, list(self.weights)),
            list(self.weights.values()),
            self._targets,
            self._bounds,
            group_codes(rows),
            scaled=self.scaled,
        )
        self.weights = dict(zip(self.weights, solved, strict=True))
        return self.weights

    def follow_again(self, rows: Iterable[Row]) -> dict[str, float]:
        """Return the weights after all these rows, in the order in which they were made: how a resumed run goes on."""
        for _, batch in groupby(rows, key=_batch):
            self.follow(list(batch))
        return self.weights


def _batch(row: Row) -> str:
    return str(row["group_id"]).rpartition("/")[0]  # run/attempt/train/call, without the group's number
