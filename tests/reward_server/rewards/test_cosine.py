import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_distances
from vendi_score import vendi as reference

from reward_server.rewards.variety.cosine import semantic, semantic_leave_one_out, semantic_own, stacked, vendi


def unit(count: int, seed: int, width: int = 5) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


seeds = st.integers(0, 1000)


@given(st.integers(2, 8), seeds)
def test_semantic_equals_the_mean_over_pairs(count: int, seed: int) -> None:
    vectors = unit(count, seed)
    pairs = [cosine_distances(vectors)[i, j] for i, j in itertools.combinations(range(count), 2)]
    assert semantic(vectors) == pytest.approx(np.mean(pairs), abs=1e-12)


@given(st.integers(2, 8), seeds)
def test_semantic_own_is_the_mean_distance_to_the_others(count: int, seed: int) -> None:
    vectors = unit(count, seed)
    expected = cosine_distances(vectors).sum(axis=1) / (count - 1)
    assert semantic_own(vectors) == pytest.approx(expected.tolist(), abs=1e-12)


@given(st.integers(2, 8), seeds)
def test_semantic_leave_one_out_is_the_change_when_a_vector_is_taken_away(count: int, seed: int) -> None:
    vectors = unit(count, seed)
    for i, change in enumerate(semantic_leave_one_out(vectors)):
        if count == 2:
            assert change is None
        else:
            assert change == pytest.approx(semantic(vectors) - semantic(np.delete(vectors, i, axis=0)), abs=1e-12)


@pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")
@given(st.integers(2, 12), seeds)
def test_vendi_is_the_reference_implementations_on_either_side_of_the_dual(count: int, seed: int) -> None:
    vectors = unit(count, seed)
    assert vendi(vectors) == pytest.approx(reference.score_X(vectors), rel=1e-9)
    assert vendi(vectors) == pytest.approx(reference.score_dual(vectors), rel=1e-9)


def test_vendi_counts_what_is_distinct() -> None:
    assert vendi(np.eye(4)) == pytest.approx(4)
    assert vendi(np.repeat(np.eye(2), 3, axis=0)) == pytest.approx(2)
    assert vendi(np.repeat(np.eye(2)[:1], 3, axis=0)) == pytest.approx(1)


@given(st.integers(2, 50), seeds)
def test_copies_in_single_precision_are_never_closer_than_0(count: int, seed: int) -> None:
    vectors = np.repeat(unit(1, seed, 384), count, axis=0).astype(np.float32)
    assert 0 <= semantic(vectors) < 1e-6
    assert set(semantic_own(vectors)) == {semantic_own(vectors)[0]}
    assert all(0 <= own < 1e-6 for own in semantic_own(vectors))
    assert 1 <= vendi(vectors) <= 1 + 1e-6


def test_stacking_keeps_order_and_precision() -> None:
    vectors = unit(7, 0).astype(np.float32)
    assert stacked(list(vectors)).dtype == np.float32
    assert (stacked(list(vectors)) == vectors).all()
