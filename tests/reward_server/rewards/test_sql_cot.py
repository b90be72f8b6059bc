import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards import Item
from reward_server.rewards.sql_cot import SqlCot, parse


def completion(score: str) -> str:
    return f"<think>it fits</think><score>{score}</score>"


def value(reward: SqlCot, text: str, target: float = 0.5) -> float:
    [score] = reward.score([Item("", text, target)])
    assert score.value is not None
    return score.value


@pytest.mark.parametrize(("error", "expected"), [(0, 1), (0.05, 0.810), (0.1, 0.637), (0.3466, 0), (1, -0.729)])
def test_exp_abs_has_its_golden_values(error: float, expected: float) -> None:
    assert SqlCot(shape="exp_abs").shaped(error) == pytest.approx(expected, abs=5e-4)


@given(st.floats(0.1, 20))
def test_exp_bounded_is_exactly_1_at_no_error_and_minus_1_at_the_largest(a: float) -> None:
    reward = SqlCot(a=a)
    assert reward.shaped(0) == 1
    assert reward.shaped(1) == -1


@given(st.floats(0, 1), st.sampled_from(["exp_bounded", "exp_abs", "mse_exp"]))
def test_every_shape_agrees_with_its_formula(error: float, shape: str) -> None:
    formula = {
        "exp_abs": 2 * math.exp(-2 * error) - 1,
        "exp_bounded": 1 - 2 * (1 - math.exp(-3 * error)) / (1 - math.exp(-3)),
        "mse_exp": 2 * math.exp(-3 * error**2) - 1,
    }[shape]
    assert SqlCot.model_validate({"shape": shape}).shaped(error) == pytest.approx(formula, abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["exp_bounded", "exp_abs", "mse_exp"]))
def test_a_larger_error_never_earns_more(one: float, other: float, shape: str) -> None:
    reward = SqlCot.model_validate({"shape": shape})
    assert reward.shaped(max(one, other)) <= reward.shaped(min(one, other))


@given(st.text(max_size=60), st.floats(0, 1), st.sampled_from(["exp_bounded", "exp_abs", "mse_exp"]))
def test_invalid_output_earns_less_than_the_worst_valid_output(text: str, target: float, shape: str) -> None:
    reward = SqlCot.model_validate({"shape": shape})
    worst_valid = min(value(reward, completion("0"), target), value(reward, completion("1"), target))
    earned = value(reward, text, target)
    assert parse(text)[1] is not None or earned < worst_valid


@pytest.mark.parametrize(
    "text",
    [
        completion("0.5"),
        "\n <think>a\nb</think>\n <score> 1 </score>\n",
        "<think></think><score>.25</score>",
        completion("0."),
    ],
)
def test_the_grammar_accepts(text: str) -> None:
    assert parse(text)[0] == 1
    assert parse(text)[1] is not None


@pytest.mark.parametrize(
    ("text", "rung"),
    [
        ("", 0),
        ("0.5", 0),
        ("</think><think><score>1</score>", 0),
        ("<think>a</think>", 0.2),
        ("<score>0.5</score><think>a</think>", 0.2),
        ("<think>a</think><score>0.5</score><score>0.5</score>", 0.2),
        ("<think><score>0.5</score></think>", 0.2),
        (completion("high"), 0.4),
        (completion("1e-1"), 0.4),
        (completion("-0.5"), 0.4),
        (completion("nan"), 0.4),
        (completion("0,5"), 0.4),
        (completion("٠.٥"), 0.4),
        (completion("1" * 5000), 0.4),
        (completion("1.01"), 0.6),
        (completion("0.5") + " so", 0.8),
        ("Well: " + completion("0.5"), 0.8),
        ("<think>a</think> and <score>0.5</score>", 0.8),
    ],
)
def test_the_ladder_says_how_far_the_format_got(text: str, rung: float) -> None:
    assert parse(text) == (rung, None)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_perfect_prediction_earns_1_and_the_error_is_reported(target: float, predicted: float) -> None:
    [score] = SqlCot().score([Item("", completion(f"{predicted:.6f}"), target)])
    assert score.components["abs_error"] == pytest.approx(abs(predicted - target), abs=1e-6)
    assert value(SqlCot(), completion(f"{target:.17f}"[:20]), target) == pytest.approx(1, abs=1e-5)


def test_without_a_reference_the_target_is_the_mean_similarity_of_the_reasoning_with_query_and_question() -> None:
    cot, sql, nl = np.array([1, 0], "f"), np.array([0.6, 0.8], "f"), np.array([0.8, 0.6], "f")
    item = Item("", completion("0.7"), None, {"cot": "c", "sql": "s", "nl": "n"}, [cot, sql, nl])
    [score] = SqlCot().score([item])
    assert score.components["target"] == pytest.approx(0.7)
    assert SqlCot().texts(item) == ["c", "s", "n"]


@pytest.mark.parametrize("reference", ["0.5", 1.5, -0.1, True, [0.5]])
def test_a_reference_that_is_no_number_between_0_and_1_is_an_error_and_not_a_score(reference: object) -> None:
    with pytest.raises(ValueError, match=r"number in \[0, 1\]"):
        SqlCot().score([Item("", completion("0.5"), reference)])


def test_an_item_with_neither_reference_nor_context_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="sql"):
        SqlCot().texts(Item("", completion("0.5")))


def test_invalid_must_be_worse_than_the_worst_valid_score() -> None:
    with pytest.raises(ValueError, match="less than -1"):
        SqlCot(invalid=-1)
