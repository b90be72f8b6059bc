import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grpo_trainer.teaching import signals

G = 4
"""Members of a group."""


def terms(rewards: int = 3, groups: int = 5) -> st.SearchStrategy[np.ndarray]:
    """(K, N) weighted terms; quarters, so that ties and equal groups occur often."""
    return arrays(np.float64, (rewards, groups * G), elements=st.integers(-40, 40).map(lambda n: n / 4))


def groups_of(matrix: np.ndarray) -> np.ndarray:
    return np.arange(matrix.shape[1]) // G


@given(terms(), st.booleans())
def test_signal_shares_sum_to_one_or_are_all_undefined(matrix: np.ndarray, scaled: bool) -> None:
    """Σ_k Cov(A, A_k) / Var(A) = Var(A) / Var(A) = 1, since A = Σ_k A_k."""
    shares = signals.signal_shares(matrix, groups_of(matrix), scaled=scaled)
    if shares[0] is None:
        assert all(share is None for share in shares)
    else:
        assert np.isclose(sum(share or 0.0 for share in shares), 1.0)


@given(terms(), st.sampled_from([0.25, 3.0, 100.0]), st.booleans())
def test_signal_shares_do_not_change_when_all_terms_are_scaled_alike(
    matrix: np.ndarray, factor: float, scaled: bool
) -> None:
    """A(c·T) is c·A(T), or A(T) itself when scaled by the group; the ratio stays."""
    before = signals.signal_shares(matrix, groups_of(matrix), scaled=scaled)
    after = signals.signal_shares(factor * matrix, groups_of(matrix), scaled=scaled)
    assert (before[0] is None) == (after[0] is None)
    if before[0] is not None:
        np.testing.assert_allclose(np.array(after, float), np.array(before, float), atol=1e-9)


@given(terms(), st.booleans())
def test_a_constant_per_group_carries_no_signal(matrix: np.ndarray, scaled: bool) -> None:
    """A term equal within every group is centred to 0: s_k = 0, and the other shares stay as they are."""
    groups = groups_of(matrix)
    constant = np.vstack([matrix, groups.astype(float)])
    shares = signals.signal_shares(constant, groups, scaled=scaled)
    if shares[0] is not None:
        assert np.isclose(shares[-1] or 0.0, 0.0, atol=1e-9)


@given(terms(), st.integers(0, 19))
def test_terms_of_the_advantage_sum_to_the_advantage_that_trl_computes(matrix: np.ndarray, failed: int) -> None:
    """Σ_k A_k = (r - nanmean_g r) / (nanstd_g r), with the failed member left out of its group's mean and std."""
    matrix[0, failed] = np.nan
    groups, total = groups_of(matrix), matrix.sum(axis=0)
    parts = signals.advantage_terms(matrix, groups, scaled=True).sum(axis=0)
    for group in range(5):
        members = (groups == group) & np.isfinite(total)
        spread = total[members].std(ddof=1)
        if spread > 1e-6:
            np.testing.assert_allclose(parts[members], (total[members] - total[members].mean()) / spread, atol=1e-9)
    assert np.isnan(parts[failed])


@given(terms(rewards=1))
def test_a_single_term_is_all_of_the_signal_and_flips_nothing(matrix: np.ndarray) -> None:
    """K = 1: A = A_1, so s_1 = 1; and A - A_1 = 0 has no sign to compare with."""
    [share] = signals.signal_shares(matrix, groups_of(matrix), scaled=True)
    assert share is None or np.isclose(share, 1.0)
    assert signals.sign_flip_shares(matrix, groups_of(matrix)) == [None]


@given(terms(), st.booleans())
def test_shares_lie_in_their_range(matrix: np.ndarray, fails: bool) -> None:
    """failed, dead, ceiling and sign-flip shares are in [0, 1]; a correlation is in [-1, 1]."""
    if fails:
        matrix[0, ::3] = np.nan
    found = signals.of_step(
        {"a": matrix[0], "b": matrix[1], "c": matrix[2]},
        groups_of(matrix),
        np.arange(matrix.shape[1], dtype=float),
        scaled=True,
        highs={"a": 10.0, "b": 10.0, "c": 10.0},
    )
    flips = found["sign_flip_share"]
    assert isinstance(flips, dict)
    for share in [found["failed_share"], found["dead_group_share"], found["ceiling_share"], *flips.values()]:
        assert share is None or 0 <= share <= 1
    correlation = found["length_correlation"]
    assert correlation is None or -1 <= correlation <= 1


def test_nothing_scored_is_undefined_and_never_zero() -> None:
    nothing = np.full((2, 4), np.nan)
    found = signals.of_step(
        {"a": nothing[0], "b": nothing[1]}, np.zeros(4, np.int64), np.arange(4.0), scaled=True, highs={}
    )
    assert found["reward"] == {"mean": None, "std": None, "min": None, "max": None}
    assert found["failed_share"] == 1.0
    assert found["dead_group_share"] == 1.0
    assert found["signal_share"] == {"a": None, "b": None}
    assert found["ceiling_share"] is None
    assert found["length_correlation"] is None


def test_two_terms_that_disagree_flip_the_sign_they_decide() -> None:
    strong, weak = np.array([3.0, 0.0]), np.array([0.0, 1.0])
    groups = np.zeros(2, np.int64)
    assert signals.sign_flip_shares(np.stack([strong, weak]), groups) == [1.0, 0.0]
    [of_strong, of_weak] = signals.signal_shares(np.stack([strong, weak]), groups, scaled=False)
    assert of_strong == 1.5
    assert of_weak == -0.5


def test_a_group_without_spread_is_dead_and_one_with_spread_is_not() -> None:
    values = np.array([1.0, 1.0, 1.0, 0.0, np.nan, 0.5])
    groups = np.array([0, 0, 1, 1, 2, 2])
    assert signals.dead_group_share(values, groups) == 2 / 3  # alike; spread; a single score


@given(st.floats(-1e3, 1e3), st.integers(2, 20))
def test_equal_values_have_no_spread_whatever_rounding_makes_of_their_mean(value: float, count: int) -> None:
    assert signals.stats(np.full(count, value))["std"] == 0


def test_the_share_at_the_ceiling_counts_scored_completions_only() -> None:
    assert signals.ceiling_share(np.array([1.0, 0.5, np.nan, 1.0]), 1.0) == 2 / 3
    assert signals.ceiling_share(np.array([1.0]), None) is None
