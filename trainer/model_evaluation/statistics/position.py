"""Whether a judge's verdict depends on which answer it was shown first."""

from collections.abc import Iterable, Sequence

from model_evaluation.statistics.interval import wilson
from model_evaluation.statistics.outcome import VALUE, Order, Winner
from model_evaluation.statistics.statistic import Estimate, Statistic


class PositionBias(Statistic):
    """Both are shares from 0 to 1."""

    consistency: Estimate
    """Prompts whose two orders agree, of those with a verdict in both."""
    first_slot: Estimate
    """Verdicts for the answer shown first, of the decided ones (`n` counts verdicts). Without bias: ½.

    No interval: the verdicts of one prompt are not independent.
    """


def position_bias(prompts: Sequence[Sequence[Order]]) -> PositionBias:
    """Return both shares, given the orders of each prompt; calls that failed are left out."""
    agreed = [agree for orders in prompts if (agree := _agree(orders)) is not None]
    first = [one.winner == one.shown_first for orders in prompts for one in orders if one.winner in ("a", "b")]
    return PositionBias(
        consistency=share(agreed, "no prompt has a verdict in both orders"),
        first_slot=share(first, "no verdict was decided", independent=False),
    )


def share(hits: Iterable[bool], reason: str, *, independent: bool = True) -> Estimate:
    """Return the share of hits, with Wilson's interval if they are independent; `reason` is for there being none."""
    every = list(hits)
    n, count = len(every), sum(every)
    if n == 0:
        return Estimate.missing(0, reason)
    return Estimate(value=count / n, n=n, interval=wilson(count, n) if independent else None)


def _agree(orders: Sequence[Order]) -> bool | None:
    sides = [_side([one for one in orders if one.shown_first == first]) for first in ("a", "b")]
    return None if None in sides else sides[0] == sides[1]


def _side(orders: Sequence[Order]) -> Winner | None:
    """Return who wins the samples of one order on average; None without a verdict."""
    values = [VALUE[one.winner] for one in orders if one.winner is not None]
    if not values:
        return None
    balance = 2 * sum(values) - len(values)
    return "a" if balance > 0 else "b" if balance < 0 else "tie"
