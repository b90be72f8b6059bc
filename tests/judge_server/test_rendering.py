"""What the judge is shown: material that stays where it is put, and the same words for the same question."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guerdon.judge_messages import Criterion
from guerdon.messages import ChatMessage
from judge_server.judges import Judge
from judge_server.judgment.grading import QUALITY
from judge_server.judgment.rendering import compare_turns, encoded, grade_turns, is_blank, prompt_version
from judge_server.judgment.schemas import compare_schema, grade_schema
from judge_server.judgment.thoughts import thoughts_end, without_thoughts

ANY_TEXT = st.text(st.characters())  # lone surrogates too: JSON bodies can hold them


def user(turns: tuple[tuple[str, str], ...]) -> str:
    return turns[1][1]


@given(ANY_TEXT)
@example("</s><|im_end|> [INST] \\<a \\\\[INST] \u2028\U000e0041\ud800")
def test_what_is_encoded_is_one_line_that_decodes_to_the_same(text: str) -> None:
    line = encoded(text)
    assert json.loads(line) == text
    assert len(line.splitlines()) == 1
    line.encode()


@given(ANY_TEXT.map(lambda text: f"<|{text}<end_of_turn>{text}</s>[INST]"))
def test_no_control_token_is_left_in_what_is_encoded(text: str) -> None:
    assert not re.search(r"<[|a-zA-Z/]|\[INST\]", encoded(text))


def test_ordinary_text_stays_readable() -> None:
    text = "Größe 2 < 3, x <= y, a[0], 日本語, 👍, $5"
    assert encoded(text) == f'"{text}"'


@given(ANY_TEXT, ANY_TEXT)
def test_the_same_question_has_the_same_words_and_another_one_another_fence(a: str, b: str) -> None:
    once, again = compare_turns("p", (a, b), None, None), compare_turns("p", (a, b), None, None)
    assert once == again
    fence = re.findall(r"The id of this message is (\w+)\.", user(once))[0]
    assert fence not in a + b
    assert fence not in user(compare_turns("p", (a, b + "x"), None, None))


def test_the_system_message_is_the_same_for_every_call() -> None:
    turns = [compare_turns("p", ("a", "b"), None, None), compare_turns("q", ("c", "d"), "reference", "criteria")]
    assert turns[0][0] == turns[1][0]
    graded = [
        grade_turns("p", "a", None, [QUALITY]),
        grade_turns("q", "b", "r", [Criterion(name="x", description="X")]),
    ]
    assert graded[0][0] == graded[1][0]


def test_criteria_reference_and_chat_turns_are_shown_and_absent_ones_are_not() -> None:
    prompt = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Why?")]
    full = user(compare_turns(prompt, ("a", "b"), "Because.", "Brevity."))
    assert '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]' in full
    assert re.findall(r"BEGIN ([A-Z ]+) \w+ -", full) == ["CRITERIA", "PROMPT", "REFERENCE", "ANSWER A", "ANSWER B"]
    assert "REFERENCE" not in user(compare_turns(prompt, ("a", "b"), None, None))


def test_the_weights_of_criteria_are_not_shown_and_their_names_are() -> None:
    shown = user(grade_turns("p", "a", None, [Criterion(name="rigour", description="Proofs.", weight=7.25)]))
    assert '"rigour": 0 to 10' in shown
    assert "7.25" not in shown


def test_the_prompt_version_is_the_same_in_every_process() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", prompt_version())
    prompt_version.cache_clear()
    first = prompt_version()
    prompt_version.cache_clear()
    assert prompt_version() == first


def test_a_schema_asks_for_the_explanation_before_the_numbers_and_the_verdict_last() -> None:
    judge = Judge(name="x", kind="openai", model="x")
    assert list(compare_schema(judge)["properties"]) == ["explanation", "score_a", "score_b", "winner"]
    assert grade_schema(judge, ["clarity", "rigour"])["required"] == ["explanation", "clarity", "rigour"]


def test_explanations_are_bounded_where_servers_can_so_that_the_verdict_fits_into_max_tokens() -> None:
    local = Judge(name="x", kind="openai_compatible", base_url="http://x/v1", max_tokens=256)
    assert compare_schema(local)["properties"]["explanation"]["maxLength"] == (256 - 64) * 2
    hosted = Judge(name="x", kind="openai", model="x", max_tokens=256)
    assert "maxLength" not in compare_schema(hosted)["properties"]["explanation"]  # strict schemas refuse it


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("plain", "plain"),
        ("  plain, untouched\n", "  plain, untouched\n"),
        ("<think>a</think> b", "b"),
        ("<THINKING>a</THINKING>b", "b"),
        ("a</think>\n\nb", "b"),
        ("<think>a", ""),
        ("<think>only</think>\n", ""),
        ("<think>a</think><think>b", ""),
        ("x <think>a</think> y", "x  y"),
        ("I put it into <think> tags</think> b", "I put it into  b"),
        ("<think>put it into <think> tags</think>b", "b"),
        ("write a <think> tag", "write a <think> tag"),
        ("<think>a</think>b</think>c", "b</think>c"),
    ],
)
def test_think_sections_are_cut_out(text: str, visible: str) -> None:
    assert without_thoughts(text) == visible


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", " "])).map("".join))
def test_thoughts_are_never_shown_in_front(text: str) -> None:
    assert not without_thoughts(text).startswith("<think>")
    assert text[: thoughts_end(text)].strip() == "" or text.lstrip().startswith("<think>")


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b\ufeff", "\u2028\u00a0\U000e0041", "\u3164\u2800\ufe0f", "\u115f\u1160"]
)
def test_an_answer_with_nothing_to_see_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", ".", "👍", "\u200ba", "👍\ufe0f", "한"])
def test_an_answer_with_something_to_see_is_not_blank(text: str) -> None:
    assert not is_blank(text)
