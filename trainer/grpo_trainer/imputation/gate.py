"""Whether predictions are trusted: by how they ranked the groups whose scores they had not seen."""

from collections import deque

from grpo_trainer.imputation import rank_agreement
from grpo_trainer.imputation.rank_agreement import Interval

ENOUGH = 8
"""Groups before the gate can open."""


class Gate:
    """Opens when the whole interval of the rank agreement lies at or above the threshold; closes when its mean falls
    below it. In between it stays as it is, so that it does not flutter.

    The evidence is Spearman's rho of the last `window` groups, each ranked before its scores were learnt from.
    """

    def __init__(self, threshold: float, window: int) -> None:
        self.threshold = threshold
        self.open = False
        self.interval: Interval | None = None
        self._evidence: deque[float] = deque(maxlen=window)

    def add(self, agreements: list[float]) -> None:
        """Take the groups of one more batch into account."""
        self._evidence.extend(agreements)
        self.interval = rank_agreement.interval(list(self._evidence), seed=len(self._evidence))
        if self.interval is None or len(self._evidence) < ENOUGH:
            self.open = False
        elif self.interval.low >= self.threshold:
            self.open = True
        elif self.interval.mean < self.threshold:
            self.open = False

    @property
    def groups(self) -> int:
        return len(self._evidence)

    def state(self) -> dict[str, object]:
        return {"open": self.open, "evidence": list(self._evidence)}

    def restore(self, open_: bool, evidence: list[float]) -> None:
        self._evidence.extend(evidence)
        self.interval = rank_agreement.interval(list(self._evidence), seed=len(self._evidence))
        self.open = open_
