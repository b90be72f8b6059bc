"""One comparison: both orders asked at the same time, mapped back to the contestants, and made one verdict."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from guerdon.judge_messages import CompareRequest, Comparison, OrderVerdict, Side, Verdict, Winner
from judge_server.judges import Judge
from judge_server.judgment.logprob_score import Odds, verdict_odds
from judge_server.judgment.material import Material, prompt_texts
from judge_server.judgment.question import question
from judge_server.judgment.reconciliation import Look, reconciled
from judge_server.judgment.rendering import compare_turns, is_blank
from judge_server.judgment.schemas import compare_schema
from judge_server.judgment.thoughts import without_thoughts
from judge_server.judgment.verdict import Compared, compared
from judge_server.judgment.verdict_values import COMPARED
from judge_server.llm import Asker, CallFailed, Outcome, Reply, Turns

_SWAPPED: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}
_FIRST: dict[str, tuple[Side, ...]] = {"both": ("a", "b"), "ab": ("a",), "ba": ("b",)}


@dataclass(frozen=True)
class Reading:
    """A reply's verdict by the letters shown; odds: None without log-probabilities."""

    said: Compared
    odds: Odds | None


def read(material: Material, with_odds: bool, reply: Reply) -> Reading:
    """Read a verdict.

    Args:
        material: what the judge was shown.
        with_odds: whether log-probabilities count.

    Raises:
        CallFailed: the reply says none.
    """
    said, found = compared(reply, material)
    odds = verdict_odds(reply, found.values["winner"]) if with_odds and reply.logprobs else None
    return Reading(said, odds)


async def compare(asker: Asker, judge: Judge, comparison: Comparison, options: CompareRequest) -> Verdict:
    """Return the verdict on two answers, with what every call said; failures are its status, never raised.

    Identical answers are a tie and an empty answer loses, both without a call. If a single call fails, the verdict is
    null: one order alone is biased, and fewer samples than asked for are another figure.
    """
    answers = [comparison.answer_a, comparison.answer_b]
    if options.strip_think:
        answers = [without_thoughts(answer) for answer in answers]
    if (settled := _without_call(answers, options)) is not None:
        return settled
    calls = [(first, sample) for first in _FIRST[options.orders] for sample in range(options.samples)]
    try:
        turns = {first: _turns(comparison, answers, first) for first in _FIRST[options.orders]}
        reader = partial(read, _material(comparison, answers), judge.logprobs)
    except CallFailed as failure:
        return Verdict(status=failure.status, error=failure.reason, reconcile=options.reconcile)
    schema = compare_schema(judge)
    outcomes = await asyncio.gather(
        *(asker.ask(question(judge, turns[first], schema, sample), reader) for first, sample in calls)
    )
    orders = [_order(first, sample, outcome) for (first, sample), outcome in zip(calls, outcomes, strict=True)]
    return _verdict(orders, [outcome.reading for outcome in outcomes], options)


def _without_call(answers: Sequence[str], options: CompareRequest) -> Verdict | None:
    a, b = answers
    verdict = partial(Verdict, reconcile=options.reconcile)
    if a.strip() == b.strip() or (is_blank(a) and is_blank(b)):
        return verdict(winner="tie", mode="identical", explanation="The answers are identical.")
    if is_blank(b):
        return verdict(winner="a", mode="empty", explanation="Answer b is empty.")
    return verdict(winner="b", mode="empty", explanation="Answer a is empty.") if is_blank(a) else None


def _turns(comparison: Comparison, answers: Sequence[str], first: Side) -> Turns:
    shown = answers if first == "a" else answers[::-1]
    return compare_turns(comparison.prompt, shown, comparison.reference, comparison.criteria)


def _material(comparison: Comparison, answers: Sequence[str]) -> Material:
    beside = [text for text in (comparison.reference, comparison.criteria) if text is not None]
    return Material([*answers, *prompt_texts(comparison.prompt), *beside], COMPARED)


def _order(first: Side, sample: int, outcome: Outcome[Reading]) -> OrderVerdict:
    """Say what became of one call, mapped back to the contestants."""
    known: dict[str, Any] = {
        "first": first,
        "sample": sample,
        "reply": outcome.reply.text if outcome.reply else None,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "cost": outcome.cost,
        "cached": outcome.cached,
    }
    if outcome.reading is None:
        failure = outcome.failure or CallFailed("judge_transport", "no reply came")
        return OrderVerdict(status=failure.status, error=failure.reason, **known)
    look = _look(first, outcome.reading)
    return OrderVerdict(
        winner=look.winner,
        score_a=look.score_a,
        score_b=look.score_b,
        p_a=look.odds.p_a if look.odds else None,
        explanation=outcome.reading.said.explanation,
        **known,
    )


def _look(first: Side, reading: Reading) -> Look:
    said, odds = reading.said, reading.odds
    if first == "a":
        return Look(said.winner, said.score_a, said.score_b, odds)
    return Look(_SWAPPED[said.winner], said.score_b, said.score_a, odds.swapped if odds else None)


def _verdict(orders: list[OrderVerdict], readings: Sequence[Reading | None], options: CompareRequest) -> Verdict:
    spent: dict[str, Any] = {
        "orders": orders,
        "prompt_tokens": sum(order.prompt_tokens for order in orders),
        "completion_tokens": sum(order.completion_tokens for order in orders),
        "cost": sum(order.cost for order in orders),
        "cached": all(order.cached for order in orders),
    }
    if (failed := next((order for order in orders if order.status != "ok"), None)) is not None:
        return Verdict(status=failed.status, error=_which(failed, options), reconcile=options.reconcile, **spent)
    looks: dict[Side, list[Look]] = {}
    for order, reading in zip(orders, readings, strict=True):
        if reading is not None:
            looks.setdefault(order.first, []).append(_look(order.first, reading))
    ruling = reconciled(list(looks.values()), options.reconcile)
    return Verdict(
        winner=ruling.winner,
        score_a=ruling.score_a,
        score_b=ruling.score_b,
        p_a=ruling.p_a,
        mode=ruling.mode,
        reconcile=ruling.rule,
        explanation=_explanation(ruling.winner, orders),
        **spent,
    )


def _which(failed: OrderVerdict, options: CompareRequest) -> str:
    sample = f", sample {failed.sample + 1} of {options.samples}" if options.samples > 1 else ""
    return f"with answer {failed.first} shown first{sample}: {failed.error}"


def _explanation(winner: Winner, orders: Sequence[OrderVerdict]) -> str:
    """Return the words of a call that says the same as the verdict; without one, those of each order."""
    agreeing = [order for order in orders if order.winner == winner][:1]
    each = [
        next(order for order in orders if order.first == first) for first in {order.first: None for order in orders}
    ]
    return "\n".join(_in_its_letters(order) for order in agreeing or each)


def _in_its_letters(order: OrderVerdict) -> str:
    """Say whose letters an explanation speaks of, where they are not the contestants' own."""
    return order.explanation if order.first == "a" else f"(Answer A is b here, answer B is a.) {order.explanation}"
