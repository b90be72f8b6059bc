"""What a comparison will still ask and cost at most, before anything is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from guerdon.judge_messages import JudgeInfo
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.sampling import Sampling
from model_evaluation.journal import Journal
from model_evaluation.judge import Judge
from model_evaluation.judging import Judged, verdict_key
from model_evaluation.prompts import Prompt

CHARACTERS_PER_TOKEN = 3.5
"""Of English prose; code and other scripts have fewer."""
INSTRUCTIONS = 500
"""Tokens of the judge's own prompt around the answers."""
VERDICT = 350
"""Tokens of an explanation and a verdict."""


@dataclass(frozen=True)
class CostEstimate:
    """Completions, verdicts, calls, tokens and money that are still to come; the tokens are a guess from characters.

    Attributes:
        longest: tokens of a completion that is still to be made, at most.
    """

    completions: int
    longest: int
    verdicts: int
    prompt_tokens: int
    judge: JudgeInfo

    @property
    def calls(self) -> int:
        return 2 * self.verdicts  # both orders

    @property
    def completion_tokens(self) -> int:
        return self.calls * VERDICT

    @property
    def cost(self) -> float:
        prompt, completion = self.judge.prompt_price, self.judge.completion_price
        return (self.prompt_tokens * prompt + self.completion_tokens * completion) / 1e6

    @property
    def shown(self) -> str:
        currency = self.judge.currency
        money = f"about {self.cost:.2f} {currency}" if self.cost else f"nothing ({currency} 0 a token)"
        return (
            f"{self.completions} completions to make, of up to {self.longest} tokens.\n"
            f"{self.verdicts} comparisons by {self.judge.name} ({self.judge.model}): {self.calls:,} calls to the "
            f"judge, about {self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens, {money}.\n"
            "What the results hold already is not counted; answers that do not exist yet are, at their longest. "
            "Nothing was asked."
        )


def estimated(
    judge: Judge,
    prompts: Sequence[Prompt],
    kept: Sequence[Sequence[Completion | None]],
    sampling: Sampling,
    criteria: str | None,
    verdicts: Journal | None,
) -> CostEstimate:
    """Estimate what is left of a comparison.

    Args:
        kept: each model's completions, in the prompts' order; None where one is still to be made.
        verdicts: those that there are; None without any.
    """
    tokens, number = 0.0, 0
    for some, others in combinations(kept, 2):
        for prompt, a, b in zip(prompts, some, others, strict=True):
            if not _needs_a_call(judge, prompt, a, b, criteria, verdicts):
                continue
            number += 1
            shown = _tokens(prompt.shown) + _tokens(prompt.reference or "") + _tokens(criteria or "")
            tokens += 2 * (INSTRUCTIONS + shown + sum(_length(one, sampling) for one in (a, b)))
    missing = sum(one is None for completions in kept for one in completions)
    return CostEstimate(missing, sampling.max_tokens, number, round(tokens), judge.info)


def _needs_a_call(
    judge: Judge,
    prompt: Prompt,
    a: Completion | None,
    b: Completion | None,
    criteria: str | None,
    verdicts: Journal | None,
) -> bool:
    if a is None or b is None:
        return all(one is None or one.text is not None for one in (a, b))
    game = Judged(prompt, "a", "b", a, b)
    if game.needs_no_call:
        return False
    return verdicts is None or bool(verdicts.missing({verdict_key(judge, game, criteria): game}))


def _length(one: Completion | None, sampling: Sampling) -> float:
    return float(sampling.max_tokens) if one is None else one.length / CHARACTERS_PER_TOKEN


def _tokens(text: str) -> float:
    return len(text) / CHARACTERS_PER_TOKEN
