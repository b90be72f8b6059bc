"""Verdicts read off log-probabilities, however a tokenizer cuts the reply."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge_server.judgment.logprob_score import Odds, expected_score, place, verdict_odds
from judge_server.judgment.material import Material
from judge_server.judgment.verdict import compared, graded
from judge_server.judgment.verdict_values import COMPARED
from judge_server.llm import Reply, TokenLogprob

Alternatives = dict[str, float]
"""Tokens in one place and their probabilities; the first one is the one that was written."""


def token(alternatives: Alternatives) -> TokenLogprob:
    top = tuple((text, math.log(p)) for text, p in alternatives.items())
    return TokenLogprob(top[0][0], top[0][1], top)


def reply(*tokens: str | Alternatives) -> Reply:
    spelled = [token(one if isinstance(one, dict) else {one: 1.0}) for one in tokens]
    return Reply(text="".join(one.token for one in spelled), finish="stop", logprobs=tuple(spelled))


def odds(written: Reply) -> Odds | None:
    _, found = compared(written, Material((), COMPARED))
    return verdict_odds(written, found.values["winner"])


def expectation(written: Reply, name: str = "quality") -> float | None:
    _, found = graded(written, Material((), [name]))
    return expected_score(written, found.values[name])


HEAD = '{"explanation": "ok", "score_a": 7, "score_b": 4, "winner": '


@pytest.mark.parametrize(
    "tokens",
    [
        (HEAD, '"', {"A": 0.6, "B": 0.2, "tie": 0.1, "C": 0.1}, '"}'),
        (HEAD, '"', {"A": 0.6, "B": 0.2, "t": 0.1}, '"}'),
        (HEAD, {'"A': 0.6, '"B': 0.2, '"tie': 0.1, '"': 0.1}, '"}'),
        (HEAD, {'"A"}': 0.6, '"B"}': 0.2, '"tie"}': 0.1, '"Answer': 0.1}),
        (HEAD[:-1], {' "A': 0.5, '"A': 0.1, ' "b': 0.1, '"B': 0.1, ' "Tie': 0.1, " {": 0.1}, '"}'),
        (HEAD, '" ', {"A": 0.6, " B": 0.15, "B": 0.05, "ti": 0.1}, '"}'),
        (HEAD, '"', {"a": 0.3, "A": 0.3, "b": 0.2, "tie": 0.1, "About": 0.1, "Bad": 0.1, "ten": 0.1}, '"}'),
    ],
)
def test_the_odds_are_those_of_a_b_and_tie_however_they_are_cut(tokens: tuple[str | Alternatives, ...]) -> None:
    found = odds(reply(*tokens))
    assert found is not None
    assert [found.a, found.b, found.tie] == pytest.approx([6 / 9, 2 / 9, 1 / 9])
    assert found.p_a == pytest.approx(6 / 9 + 1 / 18)


def test_a_tie_in_two_tokens_is_a_tie() -> None:
    found = odds(reply(HEAD, '"', {"t": 0.8, "A": 0.2}, "ie", '"}'))
    assert found is not None
    assert found.tie == pytest.approx(0.8)


def test_the_written_token_counts_also_when_it_is_not_among_the_top() -> None:
    written = reply(HEAD, '"', "A", '"}')
    tokens = list(written.logprobs)
    tokens[2] = TokenLogprob("A", math.log(0.2), (("B", math.log(0.6)), ("tie", -math.inf)))
    found = odds(Reply(text=written.text, finish="stop", logprobs=tuple(tokens)))
    assert found is not None
    assert [found.a, found.b, found.tie] == pytest.approx([0.25, 0.75, 0.0])


def test_a_letter_in_the_explanation_is_not_the_verdict() -> None:
    text = '{"explanation": "'
    tail = '", "score_a": 7, "score_b": 4, "winner": "'
    found = odds(reply(text, {"A": 0.1, "B": 0.9}, tail, {"A": 0.7, "B": 0.3}, '"}'))
    assert found is not None
    assert found.a == pytest.approx(0.7)


def test_without_tokens_that_spell_the_reply_there_are_no_odds() -> None:
    spelled = reply(HEAD, '"', {"A": 0.7, "B": 0.3}, '"}')
    assert odds(Reply(text=spelled.text, finish="stop")) is None
    assert odds(Reply(text=spelled.text, finish="stop", logprobs=(TokenLogprob("hm", -0.1),))) is None
    nan = tuple(TokenLogprob(one.token, math.nan) for one in spelled.logprobs)
    assert odds(Reply(text=spelled.text, finish="stop", logprobs=nan)) is None


def test_tokens_may_hold_more_than_the_reply_in_front_and_behind() -> None:
    spelled = reply("<think>", "A or B", "</think>\n", HEAD, '"', {"A": 0.7, "B": 0.3}, '"}', "<|im_end|>")
    text = spelled.text.removeprefix("<think>A or B</think>\n").removesuffix("<|im_end|>")
    found = odds(Reply(text=text, finish="stop", logprobs=spelled.logprobs))
    assert found is not None
    assert found.a == pytest.approx(0.7)


QUALITY = '{"explanation": "10 of 10", "quality": '


@pytest.mark.parametrize("tokens", [("10",), ("1", "0"), (" 10",), ("10}",), (" 1", "0")])
def test_ten_scores_ten_in_one_token_or_two(tokens: tuple[str, ...]) -> None:
    closing = () if tokens[-1].endswith("}") else ("}",)
    written = reply(QUALITY, *tokens, *closing)
    assert graded(written, Material((), ["quality"]))[0].scores == {"quality": 10.0}
    assert expectation(written) == pytest.approx(10.0)


def test_the_digits_of_ten_are_chained() -> None:
    ten = reply(QUALITY, {"1": 0.5, "8": 0.3, "9": 0.2}, {"0": 0.8, "}": 0.2}, "}")
    assert expectation(ten) == pytest.approx(0.5 * (0.8 * 10 + 0.2 * 1) + 0.3 * 8 + 0.2 * 9)
    one = reply(QUALITY, {"1": 0.5, "8": 0.3, "9": 0.2}, {"}": 0.6, "0": 0.2, "0}": 0.2})
    assert expectation(one) == pytest.approx(0.5 * (0.4 * 10 + 0.6 * 1) + 0.3 * 8 + 0.2 * 9)


def test_a_one_that_was_not_written_counts_as_one() -> None:
    assert expectation(reply(QUALITY, {"8": 0.75, "1": 0.25}, {"}": 0.5, "0": 0.5})) == pytest.approx(6.25)


def test_a_whole_ten_among_the_alternatives_is_ten_and_what_is_no_score_is_left_out() -> None:
    written = reply(QUALITY, {"8": 0.4, "10": 0.4, "100": 0.1, "excellent": 0.1}, "}")
    assert expectation(written) == pytest.approx(9.0)


@pytest.mark.parametrize("number", ["7.5", '"7/10"', "7e0"])
def test_a_score_that_is_no_plain_integer_has_no_expectation(number: str) -> None:
    assert expectation(reply(QUALITY, number, "}")) is None


def test_a_score_in_quotation_marks_has_one() -> None:
    assert expectation(reply(QUALITY, '"', {"7": 0.5, "9": 0.5}, '"}')) == pytest.approx(8.0)


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(at % (len(text) + 1) for at in cuts)})
    return [text[start:end] for start, end in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=60)


@given(st.text(), st.sampled_from(["A", "B", "tie"]), st.sampled_from(["", "```", "\nThat is all."]), CUTS)
def test_any_cut_of_a_reply_gives_the_same_verdict_and_the_token_it_stands_in(
    explanation: str, winner: str, after: str, cuts: list[int]
) -> None:
    verdict = {"explanation": explanation, "score_a": 10, "score_b": 1, "winner": winner}
    text = json.dumps(verdict, ensure_ascii=False) + after
    tokens = cut(text, cuts)
    written = reply(*tokens)
    said, found = compared(written, Material((), COMPARED))
    assert said.winner == winner.lower()
    where = place(written, found.values["winner"])
    assert where is not None
    letter = text.rindex(f'"{winner}"') + 1
    assert sum(map(len, tokens[: where.token])) + where.before == letter
    likely = verdict_odds(written, found.values["winner"])
    assert likely is not None
    assert getattr(likely, winner.lower()) == 1.0


@given(st.integers(0, 10), st.integers(0, 10), CUTS)
def test_any_cut_of_a_grade_whose_tokens_are_certain_expects_what_it_says(
    first: int, second: int, cuts: list[int]
) -> None:
    text = json.dumps({"explanation": "10, 1, 0", "rigour": first, "clarity": second})
    written = reply(*cut(text, cuts))
    said, found = graded(written, Material((), ["rigour", "clarity"]))
    for name, score in (("rigour", first), ("clarity", second)):
        assert said.scores[name] == score
        assert expected_score(written, found.values[name]) == pytest.approx(score)
