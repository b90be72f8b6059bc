"""All completions of one contestant: one of every prompt, or several."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from model_evaluation.answers.completion import Completion
from model_evaluation.answers.contestant import Contestant
from model_evaluation.answers.sampling import Sampling
from model_evaluation.prompts import Prompt


class Draw(NamedTuple):
    """One completion that is wanted."""

    prompt: Prompt
    sampling: Sampling


@dataclass(frozen=True)
class Draws:
    """What one contestant said when it was asked each prompt several times.

    Attributes:
        completions: a row a prompt, in the prompts' order, with one completion a draw.
        facts: as of `Answers`.
    """

    contestant: Contestant
    completions: list[list[Completion]]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What one contestant said.

    Attributes:
        completions: one a prompt, in the prompts' order.
        facts: what the manifest says about the model: source, hashes, template, type of numbers.
    """

    contestant: Contestant
    completions: list[Completion]
    facts: dict[str, Any]
