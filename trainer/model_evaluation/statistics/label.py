"""One item that a person and a judge have both judged."""

from pydantic.dataclasses import dataclass

from model_evaluation.statistics.outcome import STRICT, Length, Order, Score, Winner


@dataclass(frozen=True, config=STRICT)
class LabelledComparison:
    """Two answers: the winner by a person, and by the judge (None where it failed).

    Args:
        orders: the calls behind the judge's verdict, if position bias is to be measured.
        repeats: further verdicts of the same judge on the same item.
        length_a, length_b: of the answers, in characters or tokens.
    """

    id: str
    human: Winner
    judge: Winner | None
    orders: tuple[Order, ...] = ()
    repeats: tuple[Winner | None, ...] = ()
    length_a: Length | None = None
    length_b: Length | None = None


@dataclass(frozen=True, config=STRICT)
class LabelledGrade:
    """One answer: its grade, 0–10, by a person, and by the judge (None where it failed)."""

    id: str
    human: Score
    judge: Score | None
    repeats: tuple[Score | None, ...] = ()
    length: Length | None = None


Label = LabelledComparison | LabelledGrade
