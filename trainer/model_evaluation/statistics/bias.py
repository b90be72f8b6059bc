"""What else than quality may have decided: the order of the answers, their lengths, kinship with the judge."""

from collections.abc import Iterable, Sequence

from model_evaluation.statistics.family import same_family
from model_evaluation.statistics.outcome import Prompt
from model_evaluation.statistics.position import position_bias, share
from model_evaluation.statistics.statistic import Estimate, Statistic
from model_evaluation.statistics.verbosity import verbosity
from model_evaluation.statistics.win_rate import WinRate, win_rate

LENGTH_RATIO = 1.25


class LengthMatched(Statistic):
    """The win rate where the longer answer has at most `ratio` times the length of the other."""

    ratio: float
    win_rate: WinRate


class Bias(Statistic):
    """The checks beside a win rate; shares and rates are from 0 to 1."""

    position_consistency: Estimate
    first_slot_rate: Estimate
    longer_wins_rate: Estimate
    """Wins of the longer answer, of the decided prompts whose answers differ in length."""
    length_matched: LengthMatched
    length_controlled: Estimate
    """Sensitivity figure: model_a's win rate at equal lengths, by a logistic regression (see verbosity.py)."""
    same_family: str | None
    """A warning, if the judge is kin to a contestant."""


def bias(prompts: Sequence[Prompt], models: Iterable[str], judge: str | None, seed: int) -> Bias:
    """Check one pair's prompts.

    Args:
        models: what the contestants are known by, to tell kinship.
        judge: the judging model's name, if known.
    """
    position = position_bias([prompt.orders for prompt in prompts])
    measured = [(prompt.value, prompt.lengths) for prompt in prompts if prompt.lengths is not None]
    matched = [value for value, (a, b) in measured if max(a, b) <= LENGTH_RATIO * min(a, b)]
    controlled = verbosity([value for value, _ in measured], [lengths for _, lengths in measured])
    return Bias(
        position_consistency=position.consistency,
        first_slot_rate=position.first_slot,
        longer_wins_rate=longer_wins(measured),
        length_matched=LengthMatched(ratio=LENGTH_RATIO, win_rate=win_rate(matched, seed)),
        length_controlled=controlled.at_equal_length,
        same_family=None if judge is None else same_family(judge, models),
    )


def longer_wins(measured: Iterable[tuple[float, tuple[float, float]]]) -> Estimate:
    """Return how often the longer answer won, from (value, (length_a, length_b)) of each prompt."""
    decided = [(value > 0.5) == (a > b) for value, (a, b) in measured if value != 0.5 and a != b]
    return share(decided, "no decided prompt has answers of different lengths")
