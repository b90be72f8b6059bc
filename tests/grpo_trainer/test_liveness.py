from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grpo_trainer.teaching.liveness import Liveness
from grpo_trainer.teaching.sensitivity import Sensitivity, differs, pair

G = 4
ALIVE: dict[str, Any] = {
    "parameter_change": 1e-4,
    "dead_group_share": 0.5,
    "failed_share": 0.0,
    "ceiling_share": 0.1,
    "learning_rate": 1e-5,
    "grad_norm": 0.3,
    "terms": {"a": {"std": 0.2}, "b": {"std": 0.0}},
}


def after(steps: int, limit: int, **changes: Any) -> str | None:
    run = Liveness(limit)
    return [run.follow(ALIVE | changes) for _ in range(steps)][-1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameter_change": 0.0, "learning_rate": 0.0}, "the learning rate is 0"),
        ({"parameter_change": 0.0, "grad_norm": 0.0}, "mask_truncated_completions"),
        ({"parameter_change": 0.0}, "lost in rounding"),
        ({"dead_group_share": 1.0, "failed_share": 1.0}, "no completion has a score"),
        ({"dead_group_share": 1.0, "ceiling_share": 1.0}, "upper bound"),
        ({"dead_group_share": 1.0, "terms": {"a": {"std": 0.0}}}, "a give every completion the same value"),
        ({"dead_group_share": 1.0}, "Raise grpo.temperature"),
        # a group of four with one score each: nothing is known of how the rewards differ
        ({"dead_group_share": 1.0, "failed_share": 0.75, "terms": {"a": {"std": None}}}, "75% of completions have no"),
        ({"dead_group_share": 1.0, "failed_share": 0.75, "terms": {"a": {"std": 0.0}}}, "reward server's log"),
    ],
)
def test_a_run_that_stands_still_ends_with_what_stands_still_and_what_to_do(changes: dict[str, Any], said: str) -> None:
    assert after(4, 5, **changes) is None
    diagnosis = after(5, 5, **changes)
    assert diagnosis is not None
    assert said in diagnosis
    assert "5 steps" in diagnosis


@pytest.mark.parametrize(
    "changes", [{}, {"parameter_change": None}, {"dead_group_share": None}, {"dead_group_share": 0.9}]
)
def test_what_moves_or_is_unknown_ends_nothing(changes: dict[str, Any]) -> None:
    assert after(20, 3, **changes) is None


def test_one_step_that_moves_begins_the_count_anew() -> None:
    run = Liveness(3)
    still = ALIVE | {"parameter_change": 0.0}
    assert [run.follow(record) for record in (still, still, ALIVE, still, still)] == [None] * 5
    assert run.follow(still) is not None


def test_zero_steps_never_ends_a_run() -> None:
    assert after(100, 0, parameter_change=0.0, dead_group_share=1.0) is None


def values(terms: int = 2, groups: int = 3) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, (terms, groups * G), elements=st.integers(-8, 8).map(lambda n: n / 4))


@given(values(), st.booleans())
def test_a_term_that_is_equal_within_groups_changes_no_advantage_at_any_weight(
    matrix: np.ndarray, scaled: bool
) -> None:
    """C = 0: A(λ) = A(0)."""
    groups = np.arange(matrix.shape[1]) // G
    matrix[1] = groups * 1.5
    assert not differs(*pair(matrix, np.ones(2), 1, groups, scaled=scaled))


@given(values())
def test_a_copy_of_another_term_changes_advantages_only_where_they_are_not_scaled(matrix: np.ndarray) -> None:
    """(F + λF) / std(F + λF) = F / std(F), but F + λF ≠ F."""
    groups = np.arange(matrix.shape[1]) // G
    matrix[1] = matrix[0]
    spreads = any(np.ptp(matrix[0, groups == group]) > 0 for group in range(3))
    assert not differs(*pair(matrix, np.ones(2), 1, groups, scaled=True))
    assert differs(*pair(matrix, np.ones(2), 1, groups, scaled=False)) == spreads


def rows(a: list[float], b: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"group_id": f"g{index // G}", "term/a": x, "weight/a": 1.0, "term/b": y, "weight/b": 0.5}
        for index, (x, y) in enumerate(zip(a, b, strict=True))
    ]


def test_a_term_is_silent_until_it_has_changed_an_advantage() -> None:
    seen = Sensitivity({"a": 1.0, "b": 0.5}, scaled=True)
    seen.follow(rows([0.0, 1.0, 2.0, 3.0], [1.0] * 4))
    assert seen.silent == ["b"]
    assert "the reward 'b' changes nothing: with weight 0 and with weight 10 the same 4 completions" in seen.refusal()
    seen.follow(rows([0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 1.0, None]))
    assert seen.silent == []


def test_what_has_taught_before_a_run_was_resumed_is_not_silent_after_it() -> None:
    """A term that has come to its upper bound must not end the run that it brought there."""
    steps = [rows([0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 1.0, 0.0]), rows([0.0, 1.0, 2.0, 3.0], [1.0] * 4)]
    ledger = [row | {"step": number} for number, step in enumerate(steps, 1) for row in step]
    seen = Sensitivity({"a": 1.0, "b": 0.5}, scaled=True)
    seen.follow_again(ledger)
    assert seen.state() == ([], 8)
    other = Sensitivity({"a": 1.0, "b": 0.5}, scaled=True)
    other.restore(*seen.state())  # on the ranks that have no ledger
    other.follow(rows([0.0, 1.0, 2.0, 3.0], [1.0] * 4))
    assert (other.silent, other.completions) == ([], 12)


def test_completions_that_could_not_be_compared_prove_nothing_of_a_term() -> None:
    seen = Sensitivity({"a": 1.0, "b": 0.5}, scaled=True)
    for _ in range(100):
        seen.follow(rows([0.0, 1.0, 2.0, 3.0], [None] * 4))  # a reward that fails for many steps
        seen.follow(rows([0.0, 1.0, 2.0, 3.0], [1.0, None, None, None]))  # one score, and nothing to compare it with
    assert seen.completions == 0
    seen.follow(rows([0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, None]))
    assert (seen.silent, seen.completions) == (["b"], 3)


def test_a_single_term_and_one_of_weight_zero_are_never_silent() -> None:
    assert Sensitivity({"a": 1.0}, scaled=True).silent == []
    assert Sensitivity({"a": 1.0, "watched": 0.0}, scaled=True).silent == ["a"]
