"""pass@k: unbiased, refused beyond n, equal to what enumeration gives."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_evaluation.statistics.pass_at_k import at_ceiling, pass_at_k


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_share_of_all_subsets_of_k_that_hold_a_right_one(counts: tuple[int, int, int]) -> None:
    n, c, k = counts
    subsets = list(combinations([place < c for place in range(n)], k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-15)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_1_is_the_share_that_is_right(counts: tuple[int, int]) -> None:
    n, c = counts
    assert pass_at_k(n, c, 1) == pytest.approx(c / n)


def test_large_counts_lose_no_digits() -> None:
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01, rel=1e-12)


def test_more_than_there_are_is_an_error_and_no_guess() -> None:
    with pytest.raises(ValueError, match="pass@5 needs 5"):
        pass_at_k(4, 2, 5)


@pytest.mark.parametrize(
    ("first", "any_of_k", "alarm"), [(0.7, 0.98, True), (0.6, 0.98, False), (0.7, 0.97, False), (None, 0.98, False)]
)
def test_the_ceiling_is_where_most_pass_at_once_and_nearly_all_at_some_time(
    first: float | None, any_of_k: float, alarm: bool
) -> None:
    assert at_ceiling(first, any_of_k) is alarm
