"""How several looks at one pair, in both orders, become one verdict. Pure functions of numbers.

A look is one reply, already mapped back to the contestants. Looks of one order (samples) are averaged first, so that
each order weighs the same. Swapping the contestants mirrors every result.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from guerdon.judge_messages import CompareMode, Reconciliation, Winner
from judge_server.judgment.logprob_score import Odds

SCORE_BAND = 0.25
"""Mean scores (0 to 10) no further apart are a tie: with integers and one sample an order, equal ones."""

ODDS_BAND = 0.05
"""A p_a no further from ½ is a tie."""

CLIP = 1e-3
"""Log-odds are those of probabilities at least so far from 0 and 1: one certain order does not overrule the other."""

_ROUNDING = 1e-9
"""Bands hold for decimal fractions, which floats only come close to."""


@dataclass(frozen=True)
class Look:
    """What one reply said of the contestants a and b; odds: None without log-probabilities."""

    winner: Winner
    score_a: float
    score_b: float
    odds: Odds | None = None


@dataclass(frozen=True)
class Ruling:
    """The verdict of all looks.

    Attributes:
        p_a: None unless every look has odds.
        mode: logprobs: the odds decided; verdict: the words did.
        rule: the one that was used.
    """

    winner: Winner
    score_a: float
    score_b: float
    p_a: float | None
    mode: CompareMode
    rule: Reconciliation


def reconciled(orders: Sequence[Sequence[Look]], rule: Reconciliation) -> Ruling:
    """Return one verdict for the looks of each order; each order has at least one.

    agree: the likeliest verdict of both orders, if it is the same; else a tie. average: the mean p_a, without
    log-probabilities the mean scores. logit: the mean log-odds of p_a; without log-probabilities there are none, and
    the rule used is average.
    """
    score_a = fmean(fmean(look.score_a for look in looks) for looks in orders)
    score_b = fmean(fmean(look.score_b for look in looks) for looks in orders)
    by_odds = all(look.odds is not None for looks in orders for look in looks)
    odds = [
        _mean([look.odds if by_odds and look.odds else _certain(look.winner) for look in looks]) for looks in orders
    ]
    if not by_odds and rule == "logit":
        rule = "average"
    p_a = _pooled(odds) if rule == "logit" else fmean(order.p_a for order in odds)
    if rule == "agree":
        winner = _agreed(odds)
    elif by_odds:
        winner = _further(p_a, 1 - p_a, 2 * ODDS_BAND)
    else:
        winner = _further(score_a, score_b, SCORE_BAND)
    return Ruling(winner, score_a, score_b, p_a if by_odds else None, "logprobs" if by_odds else "verdict", rule)


def likeliest(odds: Odds) -> Winner:
    """Return the likeliest verdict; a tie when no single one is."""
    if odds.a > max(odds.b, odds.tie) + _ROUNDING:
        return "a"
    return "b" if odds.b > max(odds.a, odds.tie) + _ROUNDING else "tie"


def _agreed(orders: Sequence[Odds]) -> Winner:
    said = {likeliest(odds) for odds in orders}
    return said.pop() if len(said) == 1 else "tie"


def _mean(odds: Sequence[Odds]) -> Odds:
    return Odds(fmean(one.a for one in odds), fmean(one.b for one in odds), fmean(one.tie for one in odds))


def _certain(winner: Winner) -> Odds:
    return Odds(float(winner == "a"), float(winner == "b"), float(winner == "tie"))


def _pooled(orders: Sequence[Odds]) -> float:
    """Return the probability whose log-odds are the mean of the orders'."""
    clipped = [min(max(odds.p_a, CLIP), 1 - CLIP) for odds in orders]
    return 1 / (1 + math.exp(-fmean(math.log(p / (1 - p)) for p in clipped)))


def _further(a: float, b: float, band: float) -> Winner:
    if abs(a - b) <= band + _ROUNDING:
        return "tie"
    return "a" if a > b else "b"
