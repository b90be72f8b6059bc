"""What a right completion is, as the options say it, and how that is found out."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_evaluation.answers.completions import Draws
from model_evaluation.prompts import Prompt
from model_evaluation.solving import checkers, checking, confinement, isolation
from model_evaluation.solving.checkers import Checker
from model_evaluation.solving.checking import Verdicts
from model_evaluation.solving.program import FORGEABLE
from model_evaluation.variety import completion_quality


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        how: what the report says of it.
        verdicts: one table a model, in the order of the draws.
    """

    how: Mapping[str, Any]
    verdicts: Callable[[Sequence[Draws]], list[Verdicts]]


def of(options: argparse.Namespace, prompts: Sequence[Prompt]) -> Rule:
    """Return the rule, once it is known that it can be followed.

    Raises:
        EvaluationError: references or a reward are missing, or tests cannot be confined.
    """
    if options.check == "reward":
        return _served(options, prompts)
    checker = _checker(options, prompts)
    name, *details = checker.identity
    how = {"check": name} | ({"rule": "; ".join(details)} if details else {})
    how |= {"place": checker.note} if checker.note else {}
    how |= {"limits": FORGEABLE} if name == "tests" else {}
    return Rule(how, partial(checking.checked, checker, prompts, out=options.out))


def _checker(options: argparse.Namespace, prompts: Sequence[Prompt]) -> Checker:
    if options.check == "exact":
        return checkers.exact(prompts)
    if options.check == "regex":
        return checkers.regex(prompts, options.pattern)
    limits = confinement.Limits(options.test_timeout, options.test_memory)
    place = isolation.chosen(options.isolation, limits, options.image)
    return checkers.tests(prompts, place, continues=options.continues)


def _served(options: argparse.Namespace, prompts: Sequence[Prompt]) -> Rule:
    reward, threshold = options.reward, options.threshold
    infos = completion_quality.served([reward], options.reward_url)

    def verdicts(draws: Sequence[Draws]) -> list[Verdicts]:
        scores = completion_quality.scored(infos, options.reward_url, prompts, draws, options.out)[reward]
        return [[[checkers.at_least(one, threshold) for one in row] for row in of_model] for of_model in scores]

    how = {"check": "reward", "reward": reward, "version": infos[reward].version, "threshold": threshold}
    return Rule(how, verdicts)
