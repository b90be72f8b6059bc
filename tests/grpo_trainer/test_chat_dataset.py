"""Prompts from a file: of the chat data set, and of one's own."""

import json
from pathlib import Path

import pytest

from grpo_trainer.datasets import chat, elicitation, prompts, recommender
from long_work.command_error import CommandError


def test_chat_prompts_end_with_the_user_and_are_there_once(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": "Why?"}, {"messages": turns}, *({"prompt": f"What is {n}?"} for n in range(9))]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, validation = chat.load(source=str(file), validation_share=0.2)
    assert (len(train), len(validation)) == (8, 2)
    assert all(row["prompt"][-1]["role"] == "user" for row in train + validation)
    file.write_text('{"messages": []}\n')
    with pytest.raises(ValueError, match="line 1, has no prompt"):
        chat.load(source=str(file))


def test_a_line_separator_inside_a_prompt_ends_no_line_and_a_bare_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps({"prompt": "one\u2028two\x85three"}, ensure_ascii=False) + "\n", encoding="utf-8")
    for load in (chat.load(source=str(file), validation_share=0.0), prompts.load(path=str(file), validation_share=0.0)):
        assert load[0][0]["prompt"] == [{"role": "user", "content": "one\u2028two\x85three"}]
    file.write_text('{"prompt": "a"}\n"b"\n')
    with pytest.raises(CommandError, match=r"prompts.jsonl, line 2 is no JSON object"):
        chat.load(source=str(file))


@pytest.mark.parametrize("conversation", [[1, 2], [{"role": "user"}], {"role": "user"}, 3, "", []])
def test_a_conversation_that_no_policy_can_answer_is_refused_by_its_line(conversation: object, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(json.dumps({"conversation": "Hello"}) + "\n" + json.dumps({"conversation": conversation}) + "\n")
    with pytest.raises(ValueError, match=r"train.jsonl, line 2: conversation is text, or a list of"):
        recommender.load(path=str(file))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"depth": "x"}, "line 2: depth is how many questions were asked before, 0 or more, not 'x'"),
        ({"depth": -1}, "line 2: depth"),
        ({"prompt": [1]}, "line 2 has no prompt"),
    ],
)
def test_a_prompt_of_an_elicitation_that_is_none_is_refused_by_its_line(
    wrong: dict[str, object], said: str, tmp_path: Path
) -> None:
    row = {"prompt": "Ask.", "persona": "p", "transcript": [], "pair_seed": 0, "split": "train", "depth": 1}
    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | wrong) + "\n")
    with pytest.raises(ValueError, match=said):
        elicitation.load(path=str(file))
    file.write_text(json.dumps(row) + "\n")
    assert elicitation.load(path=str(file))[0][0]["depth"] == 1
