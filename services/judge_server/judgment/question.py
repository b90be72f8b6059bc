"""One call as a judge's settings want it."""

from typing import Any

from judge_server.judges import Judge
from judge_server.llm import Call, Turns

TOP_LOGPROBS = 20
"""The most that hosted APIs report; verdicts are renormalised over those that are among them."""


def question(judge: Judge, turns: Turns, schema: dict[str, Any], sample: int) -> Call:
    """Return the call that asks a judge, for the `sample`-th time."""
    return Call(
        turns=turns,
        max_tokens=judge.max_tokens,
        temperature=judge.temperature,
        top_p=judge.top_p,
        seed=judge.seed,
        schema=schema if judge.structured else None,
        top_logprobs=TOP_LOGPROBS if judge.logprobs else 0,
        sample=sample,
    )
