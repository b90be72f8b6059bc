"""What a judge said about two models' answers to one prompt, and how several such sayings become one per prompt."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from model_evaluation.statistics.interval import exact

Contestant = Literal["a", "b"]
Winner = Literal["a", "b", "tie"]
Score = Annotated[float, Field(ge=0, le=10)]
Probability = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[int, Field(ge=0)]

VALUE: dict[Winner, float] = {"a": 1.0, "tie": 0.5, "b": 0.0}
MIRROR: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=STRICT)
class Order:
    """One call's verdict: which answer was shown first and who won; `winner` is None where the call failed."""

    shown_first: Contestant
    winner: Winner | None
    score_a: Score | None = None
    score_b: Score | None = None
    p_a: Probability | None = None

    def mirrored(self) -> "Order":
        return Order(
            shown_first="b" if self.shown_first == "a" else "a",
            winner=self.winner and MIRROR[self.winner],
            score_a=self.score_b,
            score_b=self.score_a,
            p_a=None if self.p_a is None else 1 - self.p_a,
        )


@dataclass(frozen=True, config=STRICT)
class Outcome:
    """One comparison: a prompt, two models, the judge's reconciled verdict and the calls behind it.

    Args:
        winner: None where the comparison is incomplete; `status` then says why. It is never a tie.
        orders: both orders and all samples; empty where no call was needed (identical or empty answers).
        score_a, score_b: means over the orders, 0–10.
        length_a, length_b: of the answers, in characters or tokens, the same unit everywhere.
    """

    prompt_id: str
    model_a: str
    model_b: str
    winner: Winner | None
    status: str = "ok"
    orders: tuple[Order, ...] = ()
    score_a: Score | None = None
    score_b: Score | None = None
    length_a: Length | None = None
    length_b: Length | None = None

    def mirrored(self) -> "Outcome":
        """The same comparison with the models' names exchanged."""
        return replace(
            self,
            model_a=self.model_b,
            model_b=self.model_a,
            winner=self.winner and MIRROR[self.winner],
            orders=tuple(order.mirrored() for order in self.orders),
            score_a=self.score_b,
            score_b=self.score_a,
            length_a=self.length_b,
            length_b=self.length_a,
        )


class Prompt(NamedTuple):
    """All complete comparisons of two models on one prompt: the unit of every test."""

    id: str
    value: float  # 1 where model_a won, ½ for a tie, 0 where it lost; the mean of several comparisons
    scores: tuple[float, float] | None
    lengths: tuple[float, float] | None
    orders: tuple[Order, ...]


def pair(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """Return the names of the two models, in the first outcome's order.

    Raises:
        ValueError: there is no outcome, or they are of more than one pair.
    """
    if not outcomes:
        raise ValueError("no outcomes to compare; at least one is needed, be it incomplete")
    names = outcomes[0].model_a, outcomes[0].model_b
    if others := {(one.model_a, one.model_b) for one in outcomes} - {names, names[::-1]}:
        raise ValueError(f"one pair of models is compared, {names}; also found {sorted(others)}: use rank() for more")
    return names


def prompts(outcomes: Sequence[Outcome], model_a: str) -> list[Prompt]:
    """Average the complete outcomes of each prompt, seen from `model_a`, in the order of the prompts' ids.

    Outcomes arrive in the order in which a judge answered; the same ones give the same numbers in any order.
    """
    by_id: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.winner is not None:
            by_id[outcome.prompt_id].append(outcome if outcome.model_a == model_a else outcome.mirrored())
    return [_averaged(by_id[id_]) for id_ in sorted(by_id)]


def _averaged(outcomes: Sequence[Outcome]) -> Prompt:
    values = [VALUE[one.winner] for one in outcomes if one.winner is not None]
    return Prompt(
        id=outcomes[0].prompt_id,
        value=_mean(values),
        scores=_means([(one.score_a, one.score_b) for one in outcomes]),
        lengths=_means([(one.length_a, one.length_b) for one in outcomes]),
        orders=tuple(order for one in outcomes for order in one.orders),
    )


def _means(rows: Sequence[tuple[float | None, float | None]]) -> tuple[float, float] | None:
    known = [(a, b) for a, b in rows if a is not None and b is not None]
    return (_mean([a for a, _ in known]), _mean([b for _, b in known])) if known else None


def _mean(values: Sequence[float]) -> float:
    return exact(sum(sorted(values)) / len(values))
