from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import r2_score

from critic_trainer.critic_error import CriticError
from critic_trainer.examination.ceiling import Ceiling, ceiling
from critic_trainer.examination.diagnosis import diagnosis
from critic_trainer.examination.head_statistics import statistics
from critic_trainer.examination.plots import groups
from critic_trainer.reply import Reply

UNKNOWN = Ceiling(None, "unknown")
NUMBERS = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 3))
RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0.2, 0.8, 400)
LABELS = TRUTH + RNG.uniform(-0.2, 0.2, 400)
TOP = Ceiling(float(TRUTH.var() / LABELS.var()), "declared levels")


def found(predictions: "np.ndarray", labels: "np.ndarray" = LABELS, top: Ceiling = TOP) -> str:  # type: ignore[type-arg]
    return diagnosis(statistics(labels, predictions), top).finding


@settings(max_examples=30)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=40))
def test_the_figures_are_those_of_scikit_learn_and_scipy(pairs: list[tuple[float, float]]) -> None:
    labels, predictions = np.array(pairs).T
    assume(np.ptp(labels) > 0.01)
    assume(np.ptp(predictions) > 0.01)
    figures = statistics(labels, predictions)

    assert figures.r2 == pytest.approx(r2_score(labels, predictions))
    assert figures.pearson == pytest.approx(stats.pearsonr(labels, predictions).statistic, abs=1e-9)
    assert figures.spearman == pytest.approx(stats.spearmanr(labels, predictions).statistic, abs=1e-9)
    assert figures.mae == pytest.approx(np.abs(labels - predictions).mean())


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([0.2, 0.6]), st.sampled_from([0.3, 0.5])), max_size=3))
def test_every_figure_that_is_null_has_a_reason_and_no_other_one(pairs: list[tuple[float, float]]) -> None:
    labels, predictions = np.array(pairs).reshape(-1, 2).T
    figures = asdict(statistics(labels, predictions))

    assert {name for name, value in figures.items() if value is None} == set(figures["reasons"])
    assert all(figures["reasons"].values())


def test_equal_labels_leave_r2_undefined_and_say_so() -> None:
    figures = statistics(np.full(50, 0.6), RNG.uniform(0.5, 0.7, 50))
    said = diagnosis(figures, UNKNOWN)

    assert figures.r2 is None
    assert said.finding == "labels without variance"
    assert "R² is undefined: all labels equal" in said.text


def test_labels_that_are_equal_but_for_rounding_are_equal() -> None:
    labels = np.where(RNG.random(50) < 0.5, 0.1 + 0.2, 0.3)
    figures = statistics(labels, RNG.uniform(0.5, 0.7, 50))

    assert np.ptp(labels) > 0
    assert figures.r2 is None
    assert diagnosis(figures, UNKNOWN).finding == "labels without variance"


def test_one_reply_is_too_few_before_it_is_without_variance() -> None:
    assert found(TRUTH[:1], LABELS[:1]) == "too few rows"
    assert found(TRUTH[:0], LABELS[:0]) == "too few rows"


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_prediction_that_is_no_number_is_refused_and_not_diagnosed(wrong: float) -> None:
    with pytest.raises(CriticError, match="1 of 400 predictions are no finite numbers"):
        found(np.where(np.arange(400) == 7, wrong, TRUTH))


def test_a_head_that_knows_the_truth_is_sound() -> None:
    assert found(TRUTH) == "sound"


def test_a_head_that_knows_the_errors_too_is_a_leak() -> None:
    assert found(LABELS + RNG.normal(0, 0.01, 400)) == "above the ceiling: leak"


def test_a_head_that_says_nearly_the_same_of_every_reply_has_collapsed() -> None:
    assert found(np.full(400, LABELS.mean()) + 0.01 * (TRUTH - 0.5)) == "collapse to the mean"


def test_a_head_in_another_scale_is_told_from_one_without_signal() -> None:
    assert found(0.3 * TRUTH + 0.6) == "scale or offset"
    assert found(RNG.permutation(TRUTH)) == "no signal"


def test_few_rows_are_too_few_and_three_quarters_of_the_truth_are_below_the_ceiling() -> None:
    assert found(TRUTH[:10], LABELS[:10]) == "too few rows"
    coarse = np.where(TRUTH > 0.5, 0.65, 0.35)
    assert found(coarse) == "below the ceiling"
    assert found(0.5 * coarse + 0.25) == "scale or offset"


def test_the_ceiling_of_declared_levels_is_the_share_of_the_truth_in_the_labels() -> None:
    replies = [
        Reply(conversation="", reply="", labels={"empathy": float(label)}, levels={"empathy": float(level)})
        for label, level in zip(np.clip(LABELS, 0, 1), TRUTH, strict=True)
    ]

    assert ceiling("empathy", replies, {}).r2 == pytest.approx(TRUTH.var() / np.clip(LABELS, 0, 1).var())
    assert ceiling("overall", replies, {"overall": {"reliability": 0.7}}).r2 == 0.7
    assert ceiling("bleu", replies, {}).r2 is None


def test_groups_of_like_predictions_hold_every_reply_once() -> None:
    assert sum(count for _, _, count in groups(LABELS, TRUTH)) == len(LABELS)
