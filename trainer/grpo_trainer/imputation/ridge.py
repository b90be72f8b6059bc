"""Ridge regression within groups, refitted with every batch without keeping the batches."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]


class GroupRidge:
    """Predicts differences of reward within a group from differences of features.

    Features and rewards are centred on their group's scored members before they are learnt from, and features are
    standardised by their spread within groups. What is kept are sums over all rows so far, older batches fading by
    half every `half_life` batches because the policy's features move as it learns. The solution is that of the whole
    weighted history at once: the recursion is exact (tests/grpo_trainer/test_imputation.py).

    Attributes:
        level: the faded mean of all rewards, to which predicted differences are added.
    """

    def __init__(self, features: int, penalty: float, half_life: float) -> None:
        self.penalty, self.fade = penalty, 0.5 ** (1 / half_life)
        self.rows = 0.0
        self.total = 0.0
        self.products = np.zeros((features, features))  # Σ x xᵀ
        self.targets = np.zeros(features)  # Σ x y
        self._weights: Floats | None = None

    @property
    def fitted(self) -> bool:
        return self.rows > 0

    @property
    def level(self) -> float:
        return self.total / self.rows if self.rows else 0.0

    def learn(self, x: Floats, y: Floats, groups: Groups) -> None:
        """Add the scored rows of one batch: x (n, d), y (n,), groups (n,) any numbers, equal within a group."""
        within_x, within_y = centred(x, groups), centred(y[:, None], groups)[:, 0]
        self.rows = self.fade * self.rows + len(y)
        self.total = self.fade * self.total + float(y.sum())
        self.products = self.fade * self.products + within_x.T @ within_x
        self.targets = self.fade * self.targets + within_x.T @ within_y
        self._weights = None

    def predict(self, x: Floats, groups: Groups) -> Floats:
        """Return (n,) predicted rewards; all equal to the level before anything was learnt."""
        return self.level + centred(x, groups) @ self.weights()

    def weights(self) -> Floats:
        """Return (d,) weights of the features as they come: those that minimise, over standardised features z,

        Σ (y - z·w)² + penalty · ‖w‖², the sum fading with the age of its rows.
        """
        if self._weights is None:
            spread = np.sqrt(np.diag(self.products) / max(self.rows, 1.0))
            scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)  # constant: no weight
            standardised = scale[:, None] * self.products * scale
            standardised[np.diag_indices_from(standardised)] += self.penalty
            self._weights = scale * np.linalg.solve(standardised, scale * self.targets)
        return self._weights

    def state(self) -> dict[str, Floats]:
        return {"products": self.products, "targets": self.targets, "sums": np.array([self.rows, self.total])}

    def restore(self, state: dict[str, Floats]) -> None:
        self.products, self.targets = state["products"], state["targets"]
        self.rows, self.total = (float(one) for one in state["sums"])
        self._weights = None


def centred(x: Floats, groups: Groups) -> Floats:
    """Return x (n, d) minus the mean of each row's group."""
    _, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes)
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, codes, x)
    centres: Floats = x - (sums / counts[:, None])[codes]
    return centres
