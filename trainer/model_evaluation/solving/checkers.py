"""Ways to tell whether a completion is right: by its text, by a served reward, by running tests."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guerdon.messages import Score
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt
from model_evaluation.solving import confinement
from model_evaluation.solving.confinement import Confinement
from model_evaluation.solving.program import FORM, program
from model_evaluation.solving.verdict import Verdict
from reward_server.rewards import Item
from reward_server.rewards.exact_match import ExactMatch


@dataclass(frozen=True)
class Checker:
    """A way to tell.

    Attributes:
        identity: its name, and what else a verdict depends on; another one is another verdict.
        check: the verdict on one completion of a prompt.
        note: what the report says besides; no verdict depends on it.
    """

    identity: tuple[str, ...]
    check: Callable[[Prompt, str], Verdict]
    note: str = ""


def exact(prompts: Sequence[Prompt]) -> Checker:
    """The completion is the reference, as the reward `exact_match` has it.

    Raises:
        EvaluationError: a prompt has no reference.
    """
    _need_references(prompts, "exact", "the right answer")
    rule = ExactMatch()

    def check(prompt: Prompt, text: str) -> Verdict:
        return Verdict.of(rule.score([Item("", text, prompt.reference)])[0] == 1.0)

    return Checker(("exact",), check)


def regex(prompts: Sequence[Prompt], pattern: str | None) -> Checker:
    """A regular expression is found in the completion: one for all, or each prompt's reference.

    Raises:
        EvaluationError: one of them is no regular expression, or there is none.
    """
    if pattern is None:
        _need_references(prompts, "regex", "the regular expression (or give --pattern, one for all)")
    compiled = {one: _compiled(one) for one in {pattern or prompt.reference or "" for prompt in prompts}}

    def check(prompt: Prompt, text: str) -> Verdict:
        return Verdict.of(compiled[pattern or prompt.reference or ""].search(text) is not None)

    return Checker(("regex", pattern or "of each prompt"), check)


def tests(prompts: Sequence[Prompt], place: Confinement, *, continues: bool) -> Checker:
    """The completion's Python code runs, followed by the tests that are the prompt's reference.

    Args:
        continues: whether completions continue the prompt's text, such as the head of a function.

    Raises:
        EvaluationError: a prompt has no tests.
    """
    _need_references(prompts, "tests", "Python tests, such as asserts")

    def check(prompt: Prompt, text: str) -> Verdict:
        done = confinement.mark()
        before = prompt.shown if continues else ""
        return confinement.verdict(place, program(text, prompt.reference or "", before, done), done)

    joined = "completions continue the prompt's own code" if continues else "completions are programs of their own"
    return Checker(("tests", place.described, joined, f"programs of form {FORM}"), check, place.why)


def at_least(score: Score, threshold: float) -> Verdict:
    """Return whether a served reward's value reaches the threshold; a score that failed says nothing."""
    if score.value is None:
        return Verdict.unknown(score.status, score.error or "no score")
    return Verdict.of(score.value >= threshold)


def _need_references(prompts: Sequence[Prompt], check: str, what: str) -> None:
    if any(prompt.reference is None for prompt in prompts):
        raise EvaluationError(f"--check {check} needs --reference-column: the column that holds {what}")


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise EvaluationError(f"{pattern!r} is no regular expression: {error}") from None
