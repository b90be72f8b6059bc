"""A judge against human labels; κ and α against other implementations."""

import json
import random
from typing import Any

import evalica
import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score

from model_evaluation.statistics.agreement import agree
from model_evaluation.statistics.label import Label, LabelledComparison, LabelledGrade
from model_evaluation.statistics.outcome import Order, Winner

pytestmark = pytest.mark.filterwarnings("error")

winners = st.sampled_from(["a", "b", "tie"])
verdict_pairs = st.lists(st.tuples(winners, winners), min_size=1, max_size=40)
grades = st.integers(0, 20).map(lambda half: half / 2)
grade_pairs = st.lists(st.tuples(grades, grades), min_size=1, max_size=40)
many = settings(max_examples=50, deadline=None)


def verdicts(pairs: list[tuple[Winner, Winner]]) -> list[Label]:
    return [LabelledComparison(str(n), human, judge) for n, (human, judge) in enumerate(pairs)]


def graded(pairs: list[tuple[float, float]]) -> list[Label]:
    return [LabelledGrade(str(n), human, judge) for n, (human, judge) in enumerate(pairs)]


@many
@given(verdict_pairs)
def test_verdicts_agree_as_scikit_learn_and_krippendorff_say(pairs: list[tuple[Winner, Winner]]) -> None:
    human, judge = [one for one, _ in pairs], [other for _, other in pairs]
    found = agree(verdicts(pairs))
    assert found.accuracy.value == pytest.approx(accuracy_score(human, judge))
    if len({*human, *judge}) == 1:
        assert (found.kappa.value, found.alpha.value) == (None, None)
        assert found.kappa.reason
        assert found.alpha.reason
        return
    assert found.kappa.value == pytest.approx(cohen_kappa_score(human, judge))
    counts = [[(one, other).count(winner) for winner in ("a", "b", "tie")] for one, other in pairs]
    assert found.alpha.value == pytest.approx(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
    assert found.alpha.value == pytest.approx(evalica.alpha(pd.DataFrame([human, judge]), "nominal").alpha)


@many
@given(grade_pairs)
def test_grades_agree_as_scikit_learn_and_krippendorff_say(pairs: list[tuple[float, float]]) -> None:
    human, judge = [one for one, _ in pairs], [other for _, other in pairs]
    found = agree(graded(pairs))
    whole: tuple[Any, Any] = ([round(one) for one in human], [round(one) for one in judge])
    if len({*whole[0], *whole[1]}) == 1:
        assert found.kappa.reason
    else:
        reference = cohen_kappa_score(*whole, weights="quadratic", labels=range(11))
        assert found.kappa.value == pytest.approx(reference)
    if len({*human, *judge}) == 1:
        assert found.alpha.reason
    else:
        assert found.alpha.value == pytest.approx(krippendorff.alpha([human, judge], level_of_measurement="interval"))
        assert found.alpha.value == pytest.approx(evalica.alpha(pd.DataFrame([human, judge]), "interval").alpha)
    json.loads(found.model_dump_json(), parse_constant=pytest.fail)


def test_kappa_has_an_interval_that_narrows_with_more_labels() -> None:
    pairs: list[tuple[Winner, Winner]] = [("a", "a"), ("b", "b"), ("a", "b"), ("tie", "tie"), ("b", "b")]
    few, many_ = agree(verdicts(pairs * 4)).kappa, agree(verdicts(pairs * 40)).kappa
    for found in (few, many_):
        assert found.value is not None
        assert found.interval is not None
        assert found.value in found.interval
    assert few.interval is not None
    assert many_.interval is not None
    assert few.interval.high - few.interval.low > 2 * (many_.interval.high - many_.interval.low)


def test_full_agreement_has_kappa_one_and_no_interval() -> None:
    found = agree(verdicts([("a", "a"), ("b", "b"), ("tie", "tie")] * 7)).kappa
    assert (found.value, found.interval) == (pytest.approx(1), None)
    assert found.reason is not None


def test_a_judge_that_always_says_the_same_is_as_good_as_the_baseline_and_no_better_than_chance() -> None:
    found = agree(verdicts([("a", "a")] * 6 + [("b", "a")] * 3 + [("tie", "a")]))
    assert found.accuracy.value == found.constant_judge_accuracy == 0.6
    assert found.kappa.value == pytest.approx(0)


def test_failed_judgments_are_counted_and_in_no_other_number() -> None:
    labels = verdicts([("a", "a"), ("b", "a")])
    failed = LabelledComparison("x", "tie", None, (Order("a", "b"),), ("a",), 1, 2)
    found = agree([*labels, failed])
    assert (found.n, found.unjudged) == (2, 1)
    assert found == agree(labels).model_copy(update={"unjudged": 1})


def test_a_judge_that_never_answered_has_reasons_only() -> None:
    found = agree([LabelledComparison("x", "a", None), LabelledComparison("y", "b", None)])
    assert (found.n, found.unjudged, found.constant_judge_accuracy) == (0, 2, None)
    for estimate in (found.accuracy, found.kappa, found.alpha, found.repeat_flip_rate, found.verbosity_slope):
        assert estimate.value is None
        assert estimate.reason


def test_repeats_that_differ_from_the_first_judgment_are_flips() -> None:
    labels: list[Label] = [
        LabelledComparison("x", "a", "a", repeats=("a", "b", None)),
        LabelledComparison("y", "a", "tie", repeats=("tie", "tie")),
    ]
    flips = agree(labels).repeat_flip_rate
    assert (flips.value, flips.n) == (0.25, 4)
    regraded = agree([LabelledGrade("x", 5, 7.1, repeats=(7.4, 3.0))]).repeat_flip_rate
    assert (regraded.value, regraded.n) == (0.5, 2)


def test_position_bias_is_read_off_the_orders() -> None:
    first_always = (Order("a", "a"), Order("b", "b"))
    found = agree([LabelledComparison(str(n), "a", "tie", first_always) for n in range(5)])
    assert (found.first_slot_rate.value, found.position_consistency.value) == (1.0, 0.0)


def test_a_judge_swayed_by_length_has_a_slope_that_people_do_not_have() -> None:
    rng = random.Random(0)
    labels: list[Label] = []
    for n in range(300):
        a, b = rng.randint(10, 500), rng.randint(10, 500)
        longer: Winner = "a" if a > b else "b"
        judge: Winner = longer if rng.random() < 0.6 else rng.choice(["a", "b", "tie"])
        labels.append(LabelledComparison(str(n), rng.choice(["a", "b"]), judge, length_a=a, length_b=b))
    found = agree(labels)
    assert found.verbosity_slope.interval is not None
    assert found.verbosity_slope.interval.low > 0
    assert found.human_verbosity_slope.interval is not None
    assert 0 in found.human_verbosity_slope.interval


def test_the_slope_of_grades_is_points_per_standard_deviation_of_length() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 1000, 200)
    standard = (lengths - lengths.mean()) / lengths.std()
    judged = np.clip(5 + 1.5 * standard + rng.normal(0, 0.5, 200), 0, 10)
    rows = enumerate(zip(judged.tolist(), lengths.tolist(), strict=True))
    found = agree([LabelledGrade(str(n), 5, grade, length=length) for n, (grade, length) in rows])
    assert found.verbosity_slope.value == pytest.approx(1.5, abs=0.1)
    assert found.human_verbosity_slope.value == pytest.approx(0, abs=1e-9)
    same = agree([LabelledGrade(str(n), 5, 5, length=70) for n in range(20)]).verbosity_slope
    assert same.reason == "all answers have the same length"


@pytest.mark.parametrize("labels", [[], [LabelledGrade("x", 5, 5), LabelledComparison("y", "a", "a")]])
def test_no_labels_or_both_kinds_are_refused(labels: list[Label]) -> None:
    with pytest.raises(ValueError, match="one kind"):
        agree(labels)


def test_an_impossible_grade_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        LabelledGrade("x", float("nan"), 5)
