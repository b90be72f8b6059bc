"""How close a completion's `<score>` comes to how well a chain of thought fits its SQL and question."""

import math
import re
from typing import ClassVar, Literal

from pydantic import Field

from guerdon.messages import Range, Score
from reward_server.rewards import Item, Reward

TAGS = ("<think>", "</think>", "<score>", "</score>")
GRAMMAR = re.compile(r"\s*<think>(.*?)</think>\s*<score>(.*?)</score>\s*", re.DOTALL)
DECIMAL = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*", re.ASCII)


class SqlCot(Reward):
    """A format and a score: `<think>…</think><score>0.83</score>` and nothing after, e = |score - target|.

    Valid output earns between 1 (e = 0) and about -1 (e = 1) by `shape`. Invalid output earns `invalid`, which lies
    below the worst valid output, so that refusing to answer is never as good as being wrong. The target is the item's
    `reference`, a number in [0, 1]; without one it is the mean cosine similarity of `context.cot` with `context.sql`
    and with `context.nl`, clipped to [0, 1].
    """

    reads: ClassVar[tuple[str, ...]] = ("completion", "reference", "context")
    embeds: ClassVar[bool] = True
    components: ClassVar[dict[str, Range]] = {
        "format": Range(low=0, high=1, better="higher"),
        "abs_error": Range(low=0, high=1, better="lower"),
        "predicted": Range(low=0, high=1),
        "target": Range(low=0, high=1),
    }

    shape: Literal["exp_bounded", "exp_abs", "mse_exp"] = "exp_bounded"
    """exp_bounded: 1 - 2·(1-exp(-a·e))/(1-exp(-a)); exp_abs: 2·exp(-2e) - 1; mse_exp: 2·exp(-k·e²) - 1."""
    a: float = Field(default=3.0, gt=0)
    """Steepness of exp_bounded."""
    k: float = Field(default=3.0, gt=0)
    """Steepness of mse_exp."""
    invalid: float = Field(default=-1.25, lt=-1)
    """The reward of output that does not parse; below -1, the worst valid output."""

    @property
    def range(self) -> Range:  # type: ignore[override]
        return Range(low=self.invalid, high=1, better="higher")

    def texts(self, item: Item) -> list[str]:
        if item.reference is not None:
            return []
        missing = [name for name in ("sql", "cot", "nl") if not isinstance(item.context.get(name), str)]
        if missing:
            raise ValueError(f"sql_cot needs a `reference` in [0, 1], or `context` with sql, cot and nl; no {missing}")
        return [item.context["cot"], item.context["sql"], item.context["nl"]]

    def score(self, items: list[Item]) -> list[Score]:
        return [self.graded(item.completion, self.target(item)) for item in items]

    def target(self, item: Item) -> float:
        """Return the target in [0, 1].

        Raises:
            ValueError: the reference is no number in [0, 1].
        """
        if item.reference is None:
            cot, sql, nl = item.vectors
            return min(1.0, max(0.0, float(cot @ sql + cot @ nl) / 2))
        if isinstance(item.reference, bool) or not isinstance(item.reference, int | float):
            raise ValueError(f"sql_cot's reference is a number in [0, 1], not a {type(item.reference).__name__}")
        if not 0 <= item.reference <= 1:
            raise ValueError(f"sql_cot's reference is a number in [0, 1], not {item.reference}")
        return float(item.reference)

    def graded(self, completion: str, target: float) -> Score:
        form, predicted = parse(completion)
        if predicted is None:
            why = "the completion has no valid score"
            return Score(
                value=self.invalid,
                components={"format": form, "abs_error": None, "predicted": None, "target": target},
                notes={"abs_error": why, "predicted": why},
            )
        error = abs(predicted - target)
        return Score(
            value=self.shaped(error),
            components={"format": form, "abs_error": error, "predicted": predicted, "target": target},
        )

    def shaped(self, error: float) -> float:
        """Return the reward of an absolute error in [0, 1]; 1 at no error."""
        if self.shape == "exp_abs":
            return 2 * math.exp(-2 * error) - 1
        if self.shape == "mse_exp":
            return 2 * math.exp(-self.k * error * error) - 1
        return 1 - 2 * math.expm1(-self.a * error) / math.expm1(-self.a)


def parse(completion: str) -> tuple[float, float | None]:
    """Return (format rung, predicted score or None) of a completion.

    The rung is the number of fifths reached of: one closed think block, one closed score tag behind it, a plain
    decimal in it, in [0, 1], with nothing before, between or after. Only 1.0 is valid.
    """
    once = {tag: completion.count(tag) == 1 for tag in TAGS}
    places = [completion.find(tag) for tag in TAGS]
    if not (once["<think>"] and once["</think>"] and places[0] < places[1]):
        return 0.0, None
    if not (once["<score>"] and once["</score>"] and places[1] < places[2] < places[3]):
        return 0.2, None
    number = DECIMAL.fullmatch(completion[places[2] + len("<score>") : places[3]])
    if number is None or len(number[1]) > 32:
        return 0.4, None
    predicted = float(number[1])
    if not 0 <= predicted <= 1:
        return 0.6, None
    if GRAMMAR.fullmatch(completion) is None:
        return 0.8, None
    return 1.0, predicted
