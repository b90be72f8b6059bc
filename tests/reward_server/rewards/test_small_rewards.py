import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards import Item
from reward_server.rewards.exact_match import ExactMatch
from reward_server.rewards.format_tags import FormatTags
from reward_server.rewards.length import Length


@given(st.integers(0, 400))
def test_length_is_1_inside_the_window_and_falls_linearly_outside(length: int) -> None:
    [score] = Length(low=50, high=100).score([Item("", "x" * length)])
    assert 0 <= score <= 1
    assert score == (length / 50 if length < 50 else 1 if length <= 100 else max(0, 2 - length / 100))


@pytest.mark.parametrize("answer", ["Paris", " paris. ", "PARIS"])
def test_a_normalized_match_forgives_case_space_and_punctuation(answer: str) -> None:
    assert ExactMatch().score([Item("", answer, "Paris")]) == [1]
    assert ExactMatch(normalize=False).score([Item("", answer, "Paris")]) == [float(answer.strip() == "Paris")]


def test_only_the_tagged_answer_is_compared_and_no_tag_is_no_match() -> None:
    reward = ExactMatch(answer_tag="answer")
    assert reward.score([Item("", "so <answer>42</answer>", 42), Item("", "42", 42)]) == [1, 0]


def test_a_missing_reference_is_an_error_and_not_a_wrong_answer() -> None:
    with pytest.raises(ValueError, match="reference"):
        ExactMatch().score([Item("", "Paris")])


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("<think>a</think><answer>b</answer>", 1),
        ("<answer>b</answer><think>a</think>", 0.5),
        ("<think>a</think>", 0.5),
        ("<think>a</think><think>a</think><answer>b</answer>", 0.5),
        ("<think>a<answer>b</answer></think>", 0.5),
        ("", 0),
    ],
)
def test_format_tags_counts_the_tags_that_stand_once_and_in_order(text: str, share: float) -> None:
    [score] = FormatTags().score([Item("", text)])
    assert score.value == share
    assert score.components == {"complete": float(share == 1)}


@pytest.mark.parametrize("tags", [(), ("<think>",), ("",)])
def test_tags_are_written_without_brackets(tags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="tag"):
        FormatTags(tags=tags)
