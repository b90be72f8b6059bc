import pytest

from reward_server.rewards.variety.degenerate import degenerate


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "I can't help with that.",
        "I'm sorry, but I can't assist with that request.",
        "Sorry, I cannot provide this.",
        "I apologize, but I am unable to answer that.",
        "Unfortunately, I won’t write that.",
        "As an AI language model, I cannot generate such content.",
        "  I'm unable to do that.",
        "I am not able to help.",
    ],
)
def test_empty_completions_and_refusals_are_degenerate(text: str) -> None:
    assert degenerate(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can't wait to show you the lake.",
        "Sorry about the delay; the answer is 42.",
        "She said: I can't help it.",
        "I will not be moved, said the mountain.",
        "Unfortunately, it rains.",
        "0",
    ],
)
def test_answers_that_only_sound_like_refusals_are_not(text: str) -> None:
    assert not degenerate(text)


def test_the_whole_completion_has_to_match_the_required_format_over_lines() -> None:
    form = r"<think>.*</think>\s*\d+"
    assert not degenerate("<think>a\nb</think>\n12", form)
    assert degenerate("<think>a</think> 12 or so", form)


def test_refusals_are_the_callers() -> None:
    assert degenerate("Nein, danke.", refusals=[r"^Nein\b"])
    assert not degenerate("I can't help with that.", refusals=[])


def test_a_refusal_is_looked_for_where_a_completion_begins() -> None:
    assert not degenerate("x " * 200 + "no", refusals=["no"])
