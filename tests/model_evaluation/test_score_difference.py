"""Paired scores: what the tests say, and that they say nothing where they cannot."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_evaluation.statistics.score_difference import score_difference

pytestmark = pytest.mark.filterwarnings("error")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=8))
def test_the_permutation_test_counts_every_flip_of_signs(scores: list[tuple[int, int]]) -> None:
    differences = np.array([a - b for a, b in scores])
    found = score_difference([(float(a), float(b)) for a, b in scores], seed=0)
    if not differences.any():
        assert found.permutation.p is None
        return
    flips = [abs(float(differences @ signs)) for signs in product((-1, 1), repeat=len(differences))]
    assert found.permutation.p == pytest.approx(np.mean([one >= abs(differences.sum()) for one in flips]))


def test_means_deviations_and_effect_size_are_those_of_the_scored_prompts() -> None:
    found = score_difference([(8, 6), (7, 7), (9, 5), None], seed=0)
    assert (found.model_a.mean, found.model_a.sd, found.model_a.n, found.unscored) == (8, 1, 3, 1)
    assert found.difference.value == 2
    assert found.effect_size.value == pytest.approx(1.0)  # mean 2, sd 2


def test_a_clear_difference_has_small_p_values_and_an_interval_above_zero() -> None:
    found = score_difference([(7 + n % 2, 5 + n % 3 / 2) for n in range(40)], seed=0)
    assert found.permutation.p is not None
    assert found.permutation.p < 0.001
    assert found.wilcoxon.p is not None
    assert found.wilcoxon.p < 0.001
    assert found.difference.interval is not None
    assert found.difference.interval.low > 0


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([], "0 scored prompts"),
        ([None], "0 scored prompts"),
        ([(5.0, 4.0)], "1 scored prompts"),
        ([(5.0, 5.0)] * 2, "every difference is zero"),
        ([(5.0, 5.0)] * 60, "every difference is zero"),
    ],
)
def test_degenerate_scores_have_reasons_in_place_of_p_values(
    scores: list[tuple[float, float] | None], reason: str
) -> None:
    found = score_difference(scores, seed=0)
    for test in (found.permutation, found.wilcoxon):
        assert test.p is None
        assert test.reason is not None
        assert reason in test.reason
    assert found.effect_size.value is None
    assert found.effect_size.reason


@pytest.mark.parametrize("n", [2, 20, 60])
def test_equal_differences_have_tests_but_neither_interval_nor_effect_size(n: int) -> None:
    found = score_difference([(6.0, 5.0)] * n, seed=0)
    assert found.permutation.p is not None
    assert found.wilcoxon.p is not None
    assert found.difference.interval is None
    assert found.effect_size.reason == "all differences are equal: they have no spread to compare with"
