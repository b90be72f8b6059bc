"""The win rate, its two intervals and the sign test."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, bootstrap

from model_evaluation.statistics.detectable_effect import detectable_effect, prompts_needed
from model_evaluation.statistics.win_rate import FEWEST_FOR_BCA, win_rate

pytestmark = pytest.mark.filterwarnings("error")


def test_ties_are_half_a_win() -> None:
    found = win_rate([1.0] * 5 + [0.5] * 2 + [0.0] * 3, seed=0, incomplete=4)
    assert (found.wins, found.ties, found.losses, found.n, found.incomplete) == (5, 2, 3, 10, 4)
    assert found.rate == 0.6


def test_the_interval_is_the_bootstrap_over_prompts_and_wilson_stands_beside_it() -> None:
    values = [1.0] * 30 + [0.5] * 6 + [0.0] * 14
    found = win_rate(values, seed=5)
    reference = bootstrap((values,), np.mean, rng=np.random.default_rng(5), batch=20_000).confidence_interval
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(reference))
    assert found.wilson is not None
    wilson = binomtest(33, 50).proportion_ci(method="wilson")
    assert (found.wilson.low, found.wilson.high) == pytest.approx(tuple(wilson))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_equal_outcomes_have_wilson_alone(value: float, n: int) -> None:
    found = win_rate([value] * n, seed=0)
    assert found.interval == found.wilson
    assert found.interval is not None
    assert found.interval.method == "Wilson"
    assert found.reason is not None
    assert "Wilson alone" in found.reason


def test_too_few_prompts_for_the_bootstrap_have_wilson_alone_and_the_reason() -> None:
    few, enough = win_rate([1.0, 0.0, 1.0] * 3, seed=0), win_rate([1.0, 0.0] * 5, seed=0)
    assert few.n == FEWEST_FOR_BCA - 1
    assert few.interval == few.wilson
    assert few.reason == "fewer prompts than the 10 that the bootstrap needs: Wilson alone"
    assert enough.interval is not None
    assert enough.interval.method.startswith("BCa")
    assert enough.reason is None


def test_the_sign_test_is_the_binomial_tail_of_decided_prompts() -> None:
    found = win_rate([1.0] * 9 + [0.5] * 20 + [0.0] * 1, seed=0).sign_test
    assert found.n == 10
    assert found.p == pytest.approx(2 * binom.cdf(1, 10, 0.5))


def test_only_ties_have_no_sign_test() -> None:
    found = win_rate([0.5] * 3, seed=0).sign_test
    assert (found.p, found.n, found.reason) == (None, 0, "no prompt was decided")


def test_fifty_prompts_show_twenty_points_and_ten_points_need_196() -> None:
    found = detectable_effect(50)
    assert found.effect == pytest.approx(0.2, abs=0.005)
    assert found.prompts_for_10_points == prompts_needed(0.1) == 196


def test_the_detectable_effect_is_detected_four_times_in_five() -> None:
    n = 400
    effect = detectable_effect(n).effect
    assert effect is not None
    threshold = n / 2 + 1.96 * np.sqrt(n) / 2
    assert binom.sf(threshold, n, 0.5 + effect) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("n", [0, 1, 8])
def test_too_few_prompts_detect_nothing(n: int) -> None:
    found = detectable_effect(n)
    assert found.effect is None
    assert found.reason is not None
    assert f"{n} prompts" in found.reason


@pytest.mark.parametrize("effect", [0.0, -0.1, 0.6])
def test_an_impossible_effect_is_refused(effect: float) -> None:
    with pytest.raises(ValueError, match=r"0\.5 at most"):
        prompts_needed(effect)
