"""A judge against human labels: is it right more often than a judge that never reads?"""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from statsmodels.regression.linear_model import OLS
from statsmodels.tools.tools import add_constant

from model_evaluation.statistics.interval import LEVEL
from model_evaluation.statistics.label import Label, LabelledComparison, LabelledGrade
from model_evaluation.statistics.outcome import VALUE
from model_evaluation.statistics.position import position_bias, share
from model_evaluation.statistics.rater_agreement import alpha, kappa
from model_evaluation.statistics.statistic import Estimate, Interval, Statistic
from model_evaluation.statistics.verbosity import FEWEST, verbosity

CATEGORY = {"a": 0, "tie": 1, "b": 2}
NO_JUDGMENT = "the judge judged nothing"
GRADE = "grades are of one answer: they have no position"


class Agreement(Statistic):
    """Shares are from 0 to 1. Grades are rounded to whole ones where they must be equal: accuracy, baseline, flips."""

    kind: Literal["verdicts", "grades"]
    n: int
    """Labels with a judgment."""
    unjudged: int
    """Labels without one; they are in none of the other numbers."""
    accuracy: Estimate
    constant_judge_accuracy: float | None
    """Of a judge that always gives the most frequent human label; one below it is worse than none."""
    kappa: Estimate
    """Cohen's κ; for grades with quadratic weights."""
    alpha: Estimate
    """Krippendorff's α: nominal for verdicts, interval for grades."""
    position_consistency: Estimate
    first_slot_rate: Estimate
    verbosity_slope: Estimate
    """Verdicts: log-odds per tanh(Δ length / sd). Grades: points per standard deviation of length. 0 is none."""
    human_verbosity_slope: Estimate
    """The same of the human labels: people may have liked the longer answers, too."""
    repeat_flip_rate: Estimate
    """Repeated judgments that differ from the first (`n` counts repeats)."""


def agree(labels: Sequence[Label]) -> Agreement:
    """Compare a judge's verdicts, or its grades, with the human ones.

    Raises:
        ValueError: no labels, or verdicts and grades mixed.
    """
    verdicts = [label for label in labels if isinstance(label, LabelledComparison)]
    grades = [label for label in labels if isinstance(label, LabelledGrade)]
    if bool(verdicts) == bool(grades):
        mixed = f"{len(verdicts)} verdicts and {len(grades)} grades"
        raise ValueError(f"a judge is audited on labels of one kind, verdicts or grades; there are {mixed}")
    return _of_verdicts(verdicts) if verdicts else _of_grades(grades)


def _of_verdicts(labels: Sequence[LabelledComparison]) -> Agreement:
    judged = [(label, label.judge) for label in labels if label.judge is not None]
    human, judge = [label.human for label, _ in judged], [winner for _, winner in judged]
    codes = [CATEGORY[one] for one in human], [CATEGORY[one] for one in judge]
    position = position_bias([label.orders for label, _ in judged])
    measured = [
        (VALUE[winner], VALUE[label.human], (label.length_a, label.length_b))
        for label, winner in judged
        if label.length_a is not None and label.length_b is not None
    ]
    lengths = [(float(a), float(b)) for _, _, (a, b) in measured]
    return Agreement(
        kind="verdicts",
        n=len(judged),
        unjudged=len(labels) - len(judged),
        accuracy=_accuracy(human, judge),
        constant_judge_accuracy=constant_judge_accuracy(human),
        kappa=kappa(*codes, len(CATEGORY)),
        alpha=alpha(*codes, "nominal"),
        position_consistency=position.consistency,
        first_slot_rate=position.first_slot,
        verbosity_slope=verbosity([value for value, _, _ in measured], lengths).slope,
        human_verbosity_slope=verbosity([value for _, value, _ in measured], lengths).slope,
        repeat_flip_rate=_flips([(winner, label.repeats) for label, winner in judged]),
    )


def _of_grades(labels: Sequence[LabelledGrade]) -> Agreement:
    judged = [(label, label.judge) for label in labels if label.judge is not None]
    human, judge = [label.human for label, _ in judged], [grade for _, grade in judged]
    whole = [round(grade) for grade in human], [round(grade) for grade in judge]
    measured = [(grade, label.human, label.length) for label, grade in judged if label.length is not None]
    lengths = [length for _, _, length in measured]
    repeats = [
        (round(grade), [None if one is None else round(one) for one in label.repeats]) for label, grade in judged
    ]
    return Agreement(
        kind="grades",
        n=len(judged),
        unjudged=len(labels) - len(judged),
        accuracy=_accuracy(*whole),
        constant_judge_accuracy=constant_judge_accuracy(whole[0]),
        kappa=kappa(*whole, 11, quadratic=True),
        alpha=alpha(human, judge, "interval"),
        position_consistency=Estimate.missing(0, GRADE),
        first_slot_rate=Estimate.missing(0, GRADE),
        verbosity_slope=grade_slope([grade for grade, _, _ in measured], lengths),
        human_verbosity_slope=grade_slope([grade for _, grade, _ in measured], lengths),
        repeat_flip_rate=_flips(repeats),
    )


def constant_judge_accuracy(human: Sequence[Hashable]) -> float | None:
    """Return the share of the most frequent label; None of nothing."""
    return max(Counter(human).values()) / len(human) if human else None


def grade_slope(grades: Sequence[float], lengths: Sequence[float]) -> Estimate:
    """Return the points that one standard deviation of length is worth, by least squares (HC1 interval)."""
    n = len(grades)
    if n < FEWEST:
        return Estimate.missing(n, f"{n} grades with lengths; the regression needs {FEWEST} at least")
    if len(set(lengths)) == 1:
        return Estimate.missing(n, "all answers have the same length")
    x = np.asarray(lengths, dtype=float)
    fit = OLS(np.asarray(grades), add_constant((x - x.mean()) / x.std())).fit(cov_type="HC1")
    low, high = fit.conf_int(alpha=1 - LEVEL)[1]
    interval = Interval(low=float(low), high=float(high), method="sandwich covariance (HC1)")
    return Estimate(value=float(fit.params[1]), n=n, interval=interval)


def _accuracy(human: Sequence[Hashable], judge: Sequence[Hashable]) -> Estimate:
    return share([one == other for one, other in zip(human, judge, strict=True)], NO_JUDGMENT)


def _flips(judgments: Sequence[tuple[Hashable, Sequence[Hashable]]]) -> Estimate:
    flips = [one != first for first, repeats in judgments for one in repeats if one is not None]
    return share(flips, "no judgment was repeated", independent=False)
