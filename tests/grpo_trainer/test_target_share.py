from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grpo_trainer.teaching import signals
from grpo_trainer.teaching.running_weights import SPAN, RunningWeights
from grpo_trainer.teaching.target_share import moments, solved, weights_for

G = 4
WIDE = (1e-6, 1e6)


def values(terms: int = 2, groups: int = 5) -> st.SearchStrategy[np.ndarray]:
    """(K, N) unweighted terms; quarters, so that ties and equal groups occur often."""
    return arrays(np.float64, (terms, groups * G), elements=st.integers(-12, 12).map(lambda n: n / 4))


def groups_of(matrix: np.ndarray) -> np.ndarray:
    return np.arange(matrix.shape[1]) // G


def share(matrix: np.ndarray, weights: list[float], term: int, scaled: bool) -> float | None:
    """Return s_k as the ledger reports it: by another path than the one that solved for it."""
    return signals.signal_shares(matrix * np.array(weights)[:, None], groups_of(matrix), scaled=scaled)[term]


@settings(max_examples=50)
@given(values(), st.floats(0.05, 0.95), st.booleans())
def test_at_the_solved_weight_the_term_carries_its_share(matrix: np.ndarray, target: float, scaled: bool) -> None:
    """s_2(λ) = Cov(A, λA_2) / Var(A) = target, wherever λ is inside its bounds."""
    [_, weight] = weights_for(matrix, [1.0, 1.0], {1: target}, {1: WIDE}, groups_of(matrix), scaled=scaled)
    assume(WIDE[0] * 2 < weight < WIDE[1] / 2)
    found = moments(matrix[1], matrix[0], groups_of(matrix), scaled=scaled)
    assume(found.own.any() and found.rest.any())
    jumps = not np.isclose(found.share(weight * (1 - 1e-9)), found.share(weight * (1 + 1e-9)), atol=1e-3)
    assume(not jumps)  # a group whose total vanishes at exactly this weight leaves the average there
    reached = share(matrix, [1.0, weight], 1, scaled)
    assert reached is not None
    assert np.isclose(reached, target, atol=1e-4)


@given(values(), st.floats(0.05, 0.95))
def test_without_scaling_the_weight_is_the_positive_root_of_the_quadratic(matrix: np.ndarray, target: float) -> None:
    """(1 - t)·c·λ² + (1 - 2t)·b·λ - t·a = 0, with a = |F|², b = ⟨F, C⟩, c = |C|²."""
    found = moments(matrix[1], matrix[0], groups_of(matrix), scaled=False)
    a, b, c = float(found.rest[0]), float(found.both[0]), float(found.own[0])
    assume(a > 0 and c > 0 and b**2 < 0.999 * a * c)
    root = max(np.roots([(1 - target) * c, (1 - 2 * target) * b, -target * a]).real)
    weight = solved(found, target, *WIDE)
    assert weight is not None
    assert np.isclose(weight, np.clip(root, *WIDE), rtol=1e-6)


@settings(max_examples=30)
@given(values(), st.floats(0.05, 0.95), st.sampled_from([0.25, 4.0]), st.booleans())
def test_a_term_in_other_units_gets_the_inverse_weight(
    matrix: np.ndarray, target: float, factor: float, scaled: bool
) -> None:
    """A_k(c·T) with λ / c is A_k(T) with λ."""
    groups = groups_of(matrix)
    one = solved(moments(matrix[1], matrix[0], groups, scaled=scaled), target, *WIDE)
    other = solved(
        moments(factor * matrix[1], matrix[0], groups, scaled=scaled), target, WIDE[0] / factor, WIDE[1] / factor
    )
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert np.isclose(one, factor * other, rtol=1e-6)


@given(values(), st.floats(0.05, 0.95), st.booleans())
def test_a_weight_never_leaves_its_bounds_and_keeps_its_sign(matrix: np.ndarray, target: float, scaled: bool) -> None:
    [_, weight] = weights_for(matrix, [1.0, -0.5], {1: target}, {1: (0.1, 2.0)}, groups_of(matrix), scaled=scaled)
    assert -2.0 <= weight <= -0.1


def undoing_one_another() -> np.ndarray:
    matrix = np.zeros((3, 5 * G))
    matrix[0, 6] = 0.5
    matrix[1, 5:8], matrix[2, 5:8] = (1.25, -3, -2.5), (-1.25, 0.5, 1)
    return matrix


@settings(max_examples=20)
@example(undoing_one_another(), True)
@given(values(terms=3), st.booleans())
def test_several_terms_reach_their_shares_together(matrix: np.ndarray, scaled: bool) -> None:
    rng = np.random.default_rng(0)
    matrix = matrix + rng.normal(size=matrix.shape)  # every group spreads in every term
    targets = {1: 0.2, 2: 0.3}
    found = weights_for(
        matrix, [1.0, 1.0, 1.0], targets, dict.fromkeys(targets, WIDE), groups_of(matrix), scaled=scaled
    )
    assume(all(10 * WIDE[0] < found[k] < WIDE[1] / 10 for k in targets))
    for term, target in targets.items():
        reached = share(matrix, found, term, scaled)
        assert reached is not None
        assert np.isclose(reached, target, atol=0.01)


@pytest.mark.parametrize("flat", [0, 1])
def test_where_one_side_does_not_spread_the_weight_stays(flat: int) -> None:
    matrix = np.random.default_rng(1).normal(size=(2, 8))
    matrix[flat] = 0.5
    assert weights_for(matrix, [1.0, 0.7], {1: 0.2}, {1: WIDE}, groups_of(matrix), scaled=True) == [1.0, 0.7]


@given(values(terms=1), st.floats(0.05, 0.95), st.booleans())
def test_a_term_that_undoes_the_other_keeps_its_weight(matrix: np.ndarray, target: float, scaled: bool) -> None:
    """C = -F: at the weight where the share jumps over the target, the advantage is 0 and would teach nothing."""
    both = np.concatenate([matrix, -matrix])
    found = weights_for(both, [1.0, 0.7], {1: target}, {1: (0.1, 10.0)}, groups_of(both), scaled=scaled)
    assert found == [1.0, 0.7]


def batch(number: int, weights: dict[str, float], rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for slot in range(8):
        row: dict[str, Any] = {"group_id": f"r/a/train/{number}/{slot // 4}"}
        for name, weight in weights.items():
            row |= {f"term/{name}": weight * float(rng.normal()), f"weight/{name}": weight}
        rows.append(row)
    return rows


def test_a_resumed_run_has_the_weights_it_would_have_had() -> None:
    rng, start = np.random.default_rng(2), {"a": 1.0, "b": 0.5}
    run = RunningWeights(start, {"b": 0.2}, scaled=True)
    rows, weights = [], start
    for number in range(20):  # more than the window
        made = batch(number, weights, rng)
        rows += made
        weights = run.follow(made)
    again = RunningWeights(start, {"b": 0.2}, scaled=True).follow_again(rows)
    assert again == weights
    assert weights["a"] == 1.0
    assert weights["b"] != 0.5


def test_a_failed_completion_is_left_out_of_the_weights() -> None:
    made = batch(0, {"a": 1.0, "b": 0.5}, np.random.default_rng(3))
    lost = [row | {"term/a": None} if index == 2 else row for index, row in enumerate(made)]
    kept = [row for index, row in enumerate(made) if index != 2]
    weights = [RunningWeights({"a": 1.0, "b": 0.5}, {"b": 0.2}, scaled=False).follow(rows) for rows in (lost, kept)]
    assert weights[0] == weights[1]
    assert 0.5 / SPAN <= weights[0]["b"] <= 0.5 * SPAN
