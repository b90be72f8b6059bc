"""One label of two: their mean where the labelers agree, and none where they do not."""

from collections.abc import Sequence

from critic_trainer.labeling.agreement import Agreement
from critic_trainer.reply import Labels


def merged(first: Sequence[Labels], second: Sequence[Labels], agreements: Sequence[Agreement]) -> list[Labels]:
    """Return a label a reply and attribute: null where it is not merged, or where a labeler gave none.

    A reply that only one of them has labelled gets none: its label would be noisier than the others'.
    """
    may = {one.attribute for one in agreements if one.merges}
    names = [one.attribute for one in agreements]
    return [
        {name: _mean(one.get(name), other.get(name)) if name in may else None for name in names}
        for one, other in zip(first, second, strict=True)
    ]


def _mean(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else round((a + b) / 2, 6)
