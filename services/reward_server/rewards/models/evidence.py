"""What was found out about a question, and what it says about the question."""

from dataclasses import dataclass

from reward_server.rewards.models.log_score import accuracy, entropy, log_score, miscalibration


@dataclass(frozen=True, slots=True)
class Evidence:
    """Predictions and labels of the pairs that have one, at least one.

    Attributes:
        labels: per pair whether the persona prefers the one shown first.
        before, after: predicted log-odds of that, without and with the question and its answer.
        left_out: pairs whose label depends on the order of the options.
        answer: the persona's.
    """

    labels: list[bool]
    before: list[float]
    after: list[float]
    left_out: int
    answer: str


def measures(found: Evidence) -> dict[str, float]:
    """Return everything that is told about a question; r itself is `gain`."""
    before, after, labels = found.before, found.after, found.labels
    return {
        "gain": log_score(after, labels) - log_score(before, labels),
        "accuracy_before": accuracy(before, labels),
        "accuracy_after": accuracy(after, labels),
        "information_gain": entropy(before) - entropy(after),
        "miscalibration_change": miscalibration(after, labels) - miscalibration(before, labels),
        "pairs_used": len(labels),
        "pairs_left_out": found.left_out,
        "answer_characters": len(found.answer),
    }
