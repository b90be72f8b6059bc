"""What judging will cost at most, before anything is asked."""

from dataclasses import dataclass

from guerdon.judge_messages import JudgeInfo

CHARACTERS_PER_TOKEN = 3.5
"""Of English prose; code and other scripts have fewer."""
INSTRUCTIONS = 500
"""Tokens of the judge's own prompt around the answers."""
VERDICT = 350
"""Tokens of an explanation and a verdict."""


@dataclass(frozen=True)
class CostEstimate:
    """Calls, tokens and money; the tokens are a guess from characters."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    currency: str

    @property
    def shown(self) -> str:
        money = f"about {self.cost:.2f} {self.currency}" if self.cost else f"nothing ({self.currency} 0 a token)"
        return (
            f"{self.calls:,} calls to the judge, about {self.prompt_tokens:,} prompt and {self.completion_tokens:,} "
            f"completion tokens, {money}"
        )


def of_calls(info: JudgeInfo, calls: int, shown_tokens: float) -> CostEstimate:
    """Estimate the cost of calls that show this many tokens of prompts and answers in all."""
    prompt, completion = round(shown_tokens) + calls * INSTRUCTIONS, calls * VERDICT
    cost = (prompt * info.prompt_price + completion * info.completion_price) / 1e6
    return CostEstimate(calls, prompt, completion, cost, info.currency)
