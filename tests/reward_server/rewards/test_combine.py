import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from guerdon.messages import Score
from reward_server.rewards import Item
from reward_server.rewards.combine import Combine, standardised

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


def combine(*terms: dict[str, Any], mode: str = "sum") -> Combine:
    return Combine.model_validate({"terms": terms, "mode": mode})


def item(**scores: Score | float) -> Item:
    found = {name: score if isinstance(score, Score) else Score(value=score) for name, score in scores.items()}
    return Item("", "", scores=found)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8), numbers, numbers)
def test_a_sum_is_the_weighted_sum_of_each_item(values: list[tuple[float, float]], u: float, v: float) -> None:
    reward = combine({"reward": "a", "weight": u}, {"reward": "b", "weight": v})
    scores = reward.score([item(a=a, b=b) for a, b in values])
    assert [score.value for score in scores] == pytest.approx([u * a + v * b for a, b in values])


def test_a_product_multiplies_weighted_values() -> None:
    reward = combine({"reward": "a", "weight": 2}, {"reward": "b"}, mode="product")
    [first, second] = reward.score([item(a=0.5, b=0.25), item(a=0, b=0.25)])
    assert (first.value, second.value) == (0.25, 0)


def test_a_product_refuses_a_negative_value_because_a_worse_answer_could_earn_more() -> None:
    reward = combine({"reward": "a"}, {"reward": "b"}, mode="product")
    [bad, good] = reward.score([item(a=-1, b=-1), item(a=1, b=1)])
    assert (bad.value, bad.status) == (None, "invalid_input")
    assert "a is -1.0" in (bad.error or "")
    assert good.value == 1


@pytest.mark.parametrize("mode", ["sum", "product"])
def test_a_null_term_makes_the_item_null_with_its_status_and_reason_and_no_other(mode: str) -> None:
    reward = combine({"reward": "a", "weight": 0.5}, {"reward": "judge", "weight": 0.01}, mode=mode)
    lost = Score.failed("judge_timeout", "no answer within 30 s")
    [bad, good] = reward.score([item(a=1, judge=lost), item(a=1, judge=2)])
    assert (bad.value, bad.status, bad.error) == (None, "judge_timeout", "judge: no answer within 30 s")
    assert good.ok


def test_every_term_stays_visible_with_its_components_and_notes() -> None:
    part = Score(value=2, components={"x": 1, "y": None}, notes={"y": "undefined"})
    [score] = combine({"reward": "a"}, {"reward": "b"}).score([item(a=part, b=3)])
    assert score.components == {"a": 2, "b": 3, "a/x": 1, "a/y": None}
    assert score.notes == {"a/y": "undefined"}


@given(st.lists(numbers, min_size=2, max_size=12))
def test_standardised_terms_are_scikit_learns(values: list[float]) -> None:
    scaler = StandardScaler().fit(np.array(values)[:, None])
    found = standardised(values)
    if scaler.scale_[0] == 1 and math.sqrt(scaler.var_[0]) != 1:  # how StandardScaler says that there is no spread
        assert found == [None] * len(values)
    else:
        assert found == pytest.approx(scaler.transform(np.array(values)[:, None])[:, 0].tolist(), abs=1e-9)


@given(st.floats(-1e6, 1e6), st.integers(2, 12))
def test_equal_values_have_no_spread_whatever_rounding_makes_of_their_mean(value: float, count: int) -> None:
    assert standardised([value] * count) == [None] * count


def test_a_term_without_spread_counts_nothing_and_is_shown_as_undefined() -> None:
    reward = combine({"reward": "a"}, {"reward": "b", "standardise": True})
    for score, value in zip(reward.score([item(a=1, b=7), item(a=2, b=7)]), (1, 2), strict=True):
        assert score.value == value
        assert score.components["b"] == 7
        assert score.components["b.standardised"] is None
        assert "b.standardised" in score.notes


def test_standardising_looks_only_at_members_that_have_every_term() -> None:
    reward = combine({"reward": "a", "standardise": True}, {"reward": "b"})
    failed = Score.failed("timeout", "late")
    scores = reward.score([item(a=1, b=0), item(a=1000, b=failed), item(a=3, b=0)])
    assert [score.value for score in scores] == [-1, None, 1]
    assert scores[0].components["a.standardised"] == -1


def test_one_member_alone_cannot_be_standardised() -> None:
    reward = combine({"reward": "a", "standardise": True})
    scores = reward.score([item(a=1), item(a=Score.failed("timeout", "late"))])
    assert [score.status for score in scores] == ["invalid_input", "timeout"]


def test_a_value_beyond_all_numbers_fails_alone() -> None:
    [bad, good] = combine({"reward": "a", "weight": 1e300}).score([item(a=1e300), item(a=1)])
    assert (bad.value, bad.status) == (None, "model_error")
    assert good.ok


@pytest.mark.parametrize(
    ("terms", "needed", "scope"),
    [
        ([{"reward": "a"}], {"a": "item"}, "item"),
        ([{"reward": "a"}], {"a": "group"}, "group"),
        ([{"reward": "a", "standardise": True}], {"a": "item"}, "group"),
    ],
)
def test_it_scores_groups_where_a_term_does_or_is_standardised(
    terms: list[dict[str, Any]], needed: dict[str, Any], scope: str
) -> None:
    reward = combine(*terms)
    assert reward.needs() == ("a",)
    assert reward.served_scope(needed) == scope


def test_components_are_declared_by_the_names_of_the_terms() -> None:
    reward = combine({"reward": "a"}, {"reward": "b", "standardise": True})
    assert set(reward.served_components()) == {"a", "b", "b.standardised"}


@pytest.mark.parametrize(
    ("terms", "mode", "why"),
    [
        ([], "sum", "at least 1"),
        ([{"reward": "a"}, {"reward": "a"}], "sum", "more than once"),
        ([{"reward": "a", "standardise": True}], "product", "standardised"),
        ([{"reward": "a", "weight": -1}], "product", "above 0"),
        ([{"reward": "a", "weight": math.inf}], "sum", "finite"),
        ([{"reward": ""}], "sum", "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(terms: list[dict[str, Any]], mode: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        combine(*terms, mode=mode)
