"""Arms of several seeds: intervals over seeds and prompts, and what it takes to show a difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_1samp

from model_evaluation.statistics import arm_difference
from model_evaluation.statistics.arm_difference import (
    compared,
    complete,
    difference,
    from_baseline,
    sign_flips,
    two_level,
)

RNG = np.random.default_rng(0)
PROMPTS = RNG.normal(size=30)


def arm(shift: float, seeds: int = 3, noise: float = 0.05) -> list[list[float]]:
    rng = np.random.default_rng(round(1000 * shift) + 7)
    return [(PROMPTS + shift + rng.normal(scale=noise, size=30)).tolist() for _ in range(seeds)]


def test_a_clear_difference_over_three_seeds_is_shown_and_none_is_not() -> None:
    found = {(one.a, one.b): one for one in compared({"base": arm(0), "same": arm(0.001), "more": arm(0.5)}, 1)}
    assert found["base", "more"].shown
    assert not found["base", "same"].shown
    assert found["base", "more"].difference.value == pytest.approx(-0.5, abs=0.05)


def test_a_pair_with_the_baseline_is_the_other_arm_minus_the_baseline() -> None:
    found = compared({"less": arm(0), "base": arm(0.5), "more": arm(1)}, 1)
    less, more = from_baseline(found, "base")
    assert (less.a, more.a, less.b, more.b) == ("less", "more", "base", "base")
    assert less.difference.value == pytest.approx(-0.5, abs=0.05)
    assert more.difference.value == pytest.approx(0.5, abs=0.05)
    for one in (less, more):
        assert one.difference.interval is not None
        assert one.difference.value is not None
        assert one.difference.value in one.difference.interval


def test_one_lucky_seed_of_three_shows_nothing() -> None:
    lucky = [*arm(0)[:2], (PROMPTS + 3).tolist()]
    found = compared({"base": arm(0), "lucky": lucky}, 1)[0]
    assert found.over_seeds.interval is not None
    assert 0.0 in found.over_seeds.interval
    assert not found.shown


def test_the_interval_over_seeds_is_that_of_the_t_test_of_their_means() -> None:
    found = difference("a", "b", arm(0.2), arm(0), 1).over_seeds
    means = np.mean(np.array(arm(0.2)) - np.array(arm(0)), axis=1)
    expected = ttest_1samp(means, 0).confidence_interval()
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


def test_sign_flips_agree_with_scipy() -> None:
    values = RNG.normal(0.3, 1, size=25)
    ours = sign_flips(values.tolist(), 3).p
    theirs = permutation_test((values,), np.mean, permutation_type="samples", vectorized=True, rng=4).pvalue
    assert ours == pytest.approx(theirs, abs=0.015)


def test_a_prompt_that_one_seed_lacks_is_in_no_number_and_is_counted() -> None:
    cells = [[1.0, 2.0, None], [1.0, 4.0, 5.0]]
    assert complete(cells).shape == (2, 2)
    assert difference("a", "b", cells, [[0.0, 0.0, 0.0]], 1).difference.n == 2


def test_nothing_is_said_of_a_metric_that_no_prompt_has() -> None:
    found = difference("a", "b", [[None, None]], [[1.0, 2.0]], 1)
    assert found.difference.value is None
    assert found.difference.reason
    assert not found.shown


def test_one_seed_says_that_nothing_is_known_of_another() -> None:
    found = difference("a", "b", arm(0.5, 1), arm(0, 1), 1)
    assert found.over_seeds.interval is None
    assert found.over_seeds.reason == arm_difference.TOO_FEW_SEEDS


@settings(max_examples=25)
@given(st.floats(-5, 5), st.integers(0, 100))
def test_the_bootstrap_interval_moves_with_the_numbers(shift: float, seed: int) -> None:
    table = RNG.normal(size=(3, 8))
    here, there = two_level(table, seed), two_level(table + shift, seed)
    assert here is not None
    assert there is not None
    assert (there.low, there.high) == pytest.approx((here.low + shift, here.high + shift))


def test_seeds_that_differ_widen_the_interval_although_prompts_do_not() -> None:
    prompts = np.tile(np.linspace(-0.01, 0.01, 20), (3, 1))
    apart = prompts + np.array([[-0.3], [0.0], [0.3]])
    near, far = two_level(prompts, 1), two_level(apart, 1)
    assert near is not None
    assert far is not None
    assert far.high - far.low > 10 * (near.high - near.low)
