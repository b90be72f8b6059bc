import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards.models.quantiles import by_attribute, cvar, mean, mixed, spread

NUMBERS = st.floats(-1e6, 1e6)
QUANTILES = st.lists(NUMBERS, min_size=1, max_size=40).map(sorted)


@given(st.integers(1, 5), st.integers(1, 9), st.data())
def test_both_layouts_give_each_attribute_its_own_quantiles(
    attributes: int, quantiles: int, data: st.DataObject
) -> None:
    size = attributes * quantiles
    table = np.array(data.draw(st.lists(NUMBERS, min_size=size, max_size=size))).reshape(attributes, quantiles)
    expected = np.sort(table, axis=1).tolist()
    assert by_attribute(table.ravel().tolist(), quantiles, "attribute_major") == expected
    assert by_attribute(table.T.ravel().tolist(), quantiles, "quantile_major") == expected


def test_outputs_that_are_no_whole_number_of_attributes_are_refused() -> None:
    with pytest.raises(ValueError, match="7 outputs"):
        by_attribute([0.0] * 7, 3, "attribute_major")


@given(QUANTILES, st.integers(1, 40))
def test_cvar_of_whole_quantiles_is_the_mean_of_the_lowest(quantiles: list[float], lowest: int) -> None:
    lowest = min(lowest, len(quantiles))
    assert cvar(quantiles, lowest / len(quantiles)) == pytest.approx(float(np.mean(quantiles[:lowest])), abs=1e-6)


@given(QUANTILES, st.floats(0.001, 1), st.floats(0.001, 1))
def test_cvar_rises_with_tau_up_to_the_mean(quantiles: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    slack = 1e-9 * max(1.0, *map(abs, quantiles)) / low
    assert quantiles[0] - slack <= cvar(quantiles, low) <= cvar(quantiles, high) + slack
    assert cvar(quantiles, 1.0) == pytest.approx(mean(quantiles), abs=1e-6)


def test_cvar_counts_the_quantile_it_cuts_in_part() -> None:
    assert cvar([0.0, 1.0, 5.0, 9.0], 0.375) == pytest.approx((0.0 + 0.5 * 1.0) / 1.5)


@given(st.lists(QUANTILES, min_size=1, max_size=1), st.floats(-5, 5))
def test_a_mix_of_one_attribute_is_the_attribute_scaled(attributes: list[list[float]], weight: float) -> None:
    [own] = attributes
    assert mixed(attributes, [weight]) == sorted(weight * one for one in own)


@given(st.integers(1, 9), st.data())
def test_the_mean_of_a_mix_is_the_weighted_sum_of_the_means(quantiles: int, data: st.DataObject) -> None:
    rows = st.lists(NUMBERS, min_size=quantiles, max_size=quantiles).map(sorted)
    attributes = data.draw(st.lists(rows, min_size=1, max_size=4))
    weights = data.draw(st.lists(st.floats(-5, 5), min_size=len(attributes), max_size=len(attributes)))
    mix = mixed(attributes, weights)
    assert mix == sorted(mix)
    assert mean(mix) == pytest.approx(float(np.dot(weights, [mean(own) for own in attributes])), abs=1e-3)


@given(QUANTILES)
def test_spread_is_the_standard_deviation(quantiles: list[float]) -> None:
    assert spread(quantiles) == pytest.approx(float(np.std(quantiles)), rel=1e-9, abs=1e-6)
