"""What a judge may have been swayed by: positions, lengths, kinship."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_evaluation.statistics.bias import bias, longer_wins
from model_evaluation.statistics.family import families, same_family
from model_evaluation.statistics.outcome import Order, Prompt
from model_evaluation.statistics.position import position_bias
from model_evaluation.statistics.verbosity import verbosity

pytestmark = pytest.mark.filterwarnings("error")


def prompt(value: float, length_a: float, length_b: float) -> Prompt:
    return Prompt("p", value, None, (length_a, length_b), ())


def test_the_first_slot_rate_counts_decided_verdicts_only() -> None:
    orders = [[Order("a", "a"), Order("b", "b")], [Order("a", "b"), Order("b", "tie")], [Order("a", None)]]
    found = position_bias(orders).first_slot
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)


def test_consistency_counts_prompts_with_a_verdict_in_both_orders() -> None:
    agree = [Order("a", "a"), Order("b", "a")]
    tied = [Order("a", "tie"), Order("b", "tie")]
    disagree = [Order("a", "a"), Order("b", "b")]
    half = [Order("a", "a"), Order("b", None)]
    found = position_bias([agree, tied, disagree, half, []]).consistency
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)


def test_samples_of_an_order_are_one_verdict_by_majority() -> None:
    samples = [Order("a", "a"), Order("a", "a"), Order("a", "b"), Order("b", "a")]
    found = position_bias([samples]).consistency
    assert (found.value, found.n) == (1.0, 1)


def test_the_longer_answer_wins_are_counted_on_decided_prompts_of_different_lengths() -> None:
    measured = [(1.0, (9.0, 3.0)), (0.0, (3.0, 9.0)), (1.0, (3.0, 9.0)), (0.5, (9.0, 3.0)), (1.0, (5.0, 5.0))]
    found = longer_wins(measured)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)


def test_length_matched_prompts_are_those_within_the_stated_ratio() -> None:
    rows = [prompt(1, 125, 100), prompt(0, 126, 100), prompt(0.5, 100, 125), prompt(1, 0, 0), prompt(1, 1, 0)]
    found = bias(rows, ("new", "old"), None, seed=0).length_matched
    assert (found.ratio, found.win_rate.n, found.win_rate.wins, found.win_rate.ties) == (1.25, 3, 2, 1)


def test_a_preference_for_length_alone_is_half_at_equal_lengths() -> None:
    rng = random.Random(0)
    lengths = [(rng.uniform(100, 900), rng.uniform(50, 400)) for _ in range(2000)]
    won = [float(rng.random() < 1 / (1 + math.exp(-(a - b) / 200))) for a, b in lengths]
    found = verbosity(won, lengths)
    assert np.mean(won) > 0.7
    assert found.at_equal_length.interval is not None
    assert 0.5 in found.at_equal_length.interval
    assert found.at_equal_length.value == pytest.approx(0.5, abs=0.08)
    assert found.slope.interval is not None
    assert found.slope.interval.low > 1


@pytest.mark.parametrize(
    ("preferences", "lengths", "reason"),
    [
        ([1.0, 0.0] * 4, [(3.0, 1.0), (1.0, 2.0)] * 4, "8 prompts with lengths"),
        ([1.0, 0.0] * 20, [(3.0, 1.0), (1.0, 3.0)] * 20, "length alone separates"),
        ([0.0, 1.0] * 20, [(3.0, 1.0), (1.0, 3.0)] * 20, "length alone separates"),
        ([1.0, 0.5] * 20, [(3.0, 1.0), (1.0, 3.0)] * 20, "length alone separates"),
        ([1.0] * 20, [(3.0, 1.0), (1.0, 3.0)] * 10, "every prompt has the same outcome"),
        ([1.0, 0.0] * 20, [(3.0, 1.0)] * 40, "every difference in length is the same"),
    ],
)
def test_a_regression_without_a_solution_says_why(
    preferences: list[float], lengths: list[tuple[float, float]], reason: str
) -> None:
    found = verbosity(preferences, lengths)
    for estimate in (found.at_equal_length, found.slope):
        assert estimate.value is None
        assert estimate.reason is not None
        assert reason in estimate.reason


@settings(max_examples=75, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 6), st.integers(0, 6)), min_size=10))
def test_near_separation_gives_finite_numbers_or_a_reason(rows: list[tuple[float, int, int]]) -> None:
    found = verbosity([value for value, _, _ in rows], [(float(a), float(b)) for _, a, b in rows])
    estimate = found.at_equal_length
    if estimate.value is None:
        assert estimate.reason
    else:
        assert 0 <= estimate.value <= 1
        assert found.slope.value is not None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", {"OpenAI"}),
        ("openai/o3-mini", {"OpenAI"}),
        ("chatgpt-4o-latest", {"OpenAI"}),
        ("EleutherAI/gpt-neox-20b", set()),
        ("anthropic/claude-sonnet-4", {"Claude"}),
        ("google/gemma-3-270m-it", {"Gemini and Gemma"}),
        ("models/gemini-2.5-pro", {"Gemini and Gemma"}),
        ("meta-llama/Llama-3.3-70B", {"Llama"}),
        ("TinyLlama-1.1B", {"Llama"}),
        ("ggml-org/llama.cpp", set()),
        ("Qwen/Qwen2.5-7B", {"Qwen"}),
        ("mistralai/Mixtral-8x7B", {"Mistral"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"DeepSeek", "Qwen"}),
        ("microsoft/phi-4", {"Phi"}),
        ("cognitivecomputations/dolphin-2.9", set()),
        ("runs/sophia-checkpoint-100", set()),
        ("checkpoint-o100", set()),
    ],
)
def test_families_are_read_off_names(model: str, expected: set[str]) -> None:
    assert families(model) == expected


def test_a_judge_kin_to_a_contestant_is_warned_of() -> None:
    warning = same_family("gpt-4.1", ["openai/gpt-oss-20b", "Qwen/Qwen3-4B"])
    assert warning is not None
    assert "openai/gpt-oss-20b (OpenAI)" in warning
    assert "Qwen3" not in warning
    assert same_family("gpt-4.1", ["Qwen/Qwen3-4B", "my-model"]) is None
    assert same_family("my-model", ["my-model", "old"]) is not None


def test_where_every_prompt_is_tied_lengths_explain_nothing() -> None:
    found = verbosity([0.5] * 20, [(10.0 + n, 12.0) for n in range(20)])
    assert found.slope.value is None
    assert "same outcome" in (found.slope.reason or "")
