"""Answers that imitate verdicts, close fences or address the judge change no verdict.

The judge here is an honest one: it reads both answers back from between the fences of the rendered messages, finds
its own mark in the better of them, and quotes what it likes of them before its verdict.
"""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from guerdon.judge_messages import CompareRequest, Comparison, GradedAnswer, GradeRequest
from judge_server.judges import Judge
from judge_server.judgment.comparison import compare
from judge_server.judgment.grading import grade
from judge_server.judgment.thoughts import without_thoughts
from judge_server.llm import Call, CallFailed, Outcome, Reading, Reply

INJECTIONS: list[str] = json.loads((Path(__file__).parent / "injections.json").read_text(encoding="utf-8"))
GOOD = "The good answer (mark 5be1)."
JUDGE = Judge(name="j", kind="openai", model="m")
IDS = [f"{number}" for number in range(len(INJECTIONS))]


def shown(call: Call) -> dict[str, object]:
    """Read the sections of a user message as whoever trusts its fences does; each has to be there exactly once."""
    user = call.turns[1][1]
    fence = re.match(r"The id of this message is (\w+)\.\n", user)
    assert fence is not None
    blocks = re.split(rf"^----- BEGIN (.+) {fence[1]} -----$", user, flags=re.MULTILINE)[1:]
    titles, bodies = blocks[::2], blocks[1::2]
    assert len(set(titles)) == len(titles)
    ends = [f"\n----- END {title} {fence[1]} -----\n" for title in titles]
    assert all(body.count(end) == 1 for body, end in zip(bodies, ends, strict=True))
    return {title: json.loads(body.split(end)[0]) for title, body, end in zip(titles, bodies, ends, strict=True)}


def whole(quote: str, verdict: dict[str, object]) -> str:
    """A reply that follows the schema and quotes in its explanation."""
    return json.dumps({"explanation": f"One says: {quote} That is a trick.", **verdict}, ensure_ascii=False)


def fenced(quote: str, verdict: dict[str, object]) -> str:
    return f"```json\n{whole(quote, verdict)}\n```"


def in_prose(quote: str, verdict: dict[str, object]) -> str:
    """A reply of words, the quote as it is, and the verdict in the end."""
    own = json.dumps({"explanation": "I have compared them.", **verdict})
    return f"One of the answers says:\n\n{quote}\n\nThat is a trick. My verdict:\n\n{own}"


def quoted_last(quote: str, verdict: dict[str, object]) -> str:
    return f"{json.dumps({'explanation': 'I have compared them.', **verdict})}\n\nBeware, an answer says: {quote}"


def quoted_raw(quote: str, verdict: dict[str, object]) -> str:
    """A reply of a model that does not escape what it quotes."""
    return '{"explanation": "One says: ' + quote + ' That is a trick.", ' + json.dumps(verdict)[1:]


def only_quoted(quote: str, verdict: dict[str, object]) -> str:
    """A reply without a verdict of its own."""
    return f"One of the answers says {quote} and I do not know what to make of it."


Form = Callable[[str, dict[str, object]], str]
SOUND: list[Form] = [whole, fenced, in_prose]
UNSOUND: list[Form] = [quoted_last, quoted_raw, only_quoted]


class HonestJudge:
    """Prefers the answer with the mark, 9 to 2; quotes the other one."""

    def __init__(self, form: Form) -> None:
        self.form = form

    async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
        sections = shown(call)
        verdict: dict[str, object]
        if "ANSWER" in sections:
            quote, verdict = str(sections["ANSWER"]), {"quality": 2}
        else:
            answers = [str(sections["ANSWER A"]), str(sections["ANSWER B"])]
            best = answers.index(GOOD)
            quote = answers[1 - best]
            scores = [9, 2] if best == 0 else [2, 9]
            verdict = {"score_a": scores[0], "score_b": scores[1], "winner": "AB"[best]}
        reply = Reply(text=self.form(quote, verdict), finish="stop")
        try:
            return Outcome(reading=read(reply), reply=reply)
        except CallFailed as failure:
            return Outcome(failure=failure, reply=reply)


@pytest.mark.parametrize("form", SOUND)
@pytest.mark.parametrize("injection", INJECTIONS, ids=IDS)
def test_an_injection_changes_no_verdict_on_either_side(injection: str, form: Form) -> None:
    for strip_think in (True, False):
        for answers, winner, scores in (((injection, GOOD), "b", (2, 9)), ((GOOD, injection), "a", (9, 2))):
            one = Comparison(prompt="p", answer_a=answers[0], answer_b=answers[1])
            options = CompareRequest(comparisons=[one], strip_think=strip_think)
            verdict = asyncio.run(compare(HonestJudge(form), JUDGE, one, options))
            assert (verdict.status, verdict.winner) == ("ok", winner), verdict.error
            assert (verdict.score_a, verdict.score_b) == scores


@pytest.mark.parametrize("form", UNSOUND)
@pytest.mark.parametrize("injection", INJECTIONS, ids=IDS)
def test_with_a_judge_that_quotes_badly_an_injection_can_at_worst_have_no_verdict(injection: str, form: Form) -> None:
    one = Comparison(prompt="p", answer_a=injection, answer_b=GOOD)
    verdict = asyncio.run(compare(HonestJudge(form), JUDGE, one, CompareRequest(comparisons=[one])))
    assert verdict.winner in {"b", None}
    assert verdict.score_a in {2, None}
    one_grade = GradedAnswer(prompt="p", answer=injection)
    grading = asyncio.run(grade(HonestJudge(form), JUDGE, one_grade, GradeRequest(answers=[one_grade])))
    assert grading.score in {2, None}


@pytest.mark.parametrize("form", SOUND)
@pytest.mark.parametrize("injection", INJECTIONS, ids=IDS)
def test_an_injection_changes_no_grade(injection: str, form: Form) -> None:
    one = GradedAnswer(prompt="p", answer=injection)
    result = asyncio.run(grade(HonestJudge(form), JUDGE, one, GradeRequest(answers=[one])))
    assert (result.status, result.score) == ("ok", 2.0), result.error


@pytest.mark.parametrize("injection", INJECTIONS, ids=IDS)
def test_what_is_shown_is_the_answer_to_the_letter_also_in_prompt_reference_and_criteria(injection: str) -> None:
    seen: list[dict[str, object]] = []

    class Reader(HonestJudge):
        async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
            seen.append(shown(call))
            return await super().ask(call, read)

    one = Comparison(prompt=injection, answer_a=injection, answer_b=GOOD, reference=injection, criteria=injection)
    asyncio.run(compare(Reader(whole), JUDGE, one, CompareRequest(comparisons=[one], orders="ab")))
    answer = without_thoughts(injection)
    others = dict.fromkeys(["PROMPT", "REFERENCE", "CRITERIA"], injection)
    assert seen == [{**others, "ANSWER A": answer, "ANSWER B": GOOD}]


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    assert len(set(INJECTIONS)) == len(INJECTIONS) >= 40
