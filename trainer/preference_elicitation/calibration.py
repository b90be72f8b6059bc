"""Whether predicted preferences come true as often as they say: the predictor of the reward, on collected prompts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from guerdon.messages import Item, Score
from preference_elicitation.reward_scores import Rewards
from reward_server.rewards.models.dialogue import in_persona
from reward_server.rewards.models.item_pairs import drawn
from reward_server.rewards.models.log_score import accuracy, fitted_temperature, log_score
from reward_server.rewards.models.text_file import read_texts

BINS = 10
FEWEST = 5
"""Predictions without which a bin is not drawn."""


class Prediction(NamedTuple):
    """The log-odds of one pair, and whether they were right about who wins."""

    depth: int
    log_odds: float
    label: bool


def predictions(rows: Sequence[Mapping[str, Any]], rewards: Rewards, said: Callable[[int], None]) -> list[Prediction]:
    """Return what is predicted of each row's pairs from its transcript, and what its persona prefers.

    The same pairs, labels and prompts as in information_gain. A pair without a label is left out, as there; so is a
    row whose scores failed.

    Raises:
        ValueError: the server's files of items and personas cannot be read here.
    """
    items = read_texts(rewards.settings["items"])
    people = read_texts(rewards.settings["personas"])
    predictor = str(rewards.settings["preference"])
    labeller = str(rewards.settings["labeller"] or predictor)
    found: list[Prediction] = []
    for row in rows:
        pairs = drawn(list(items.texts), int(rewards.settings["pairs"]), row["pair_seed"])
        shown = [[items[name] for name in pair.shown()] for pair in pairs]
        told: dict[str, Any] = {"transcript": [], "system": in_persona(people[row["persona"]]), "pairs": shown}
        [label] = rewards.scores(labeller, [Item(completion="", context=told)])
        asked = Item(completion="", context={"transcript": row["transcript"], "pairs": shown})
        [predicted] = rewards.scores(predictor, [asked])
        if label.ok and predicted.ok:
            found += _labelled(row["depth"], label, predicted, len(pairs))
        said(1)
    return found


def summary(found: Sequence[Prediction]) -> dict[str, Any]:
    """Return the reliability of predictions: bins of equal width, expected calibration error, fitted temperature."""
    if not found:
        return {"pairs": 0, "reason": "no pair has both a prediction and a label"}
    log_odds, labels = [one.log_odds for one in found], [one.label for one in found]
    bins = _bins(found)
    temperature, reason = _temperature(log_odds, labels)
    return {
        "pairs": len(found),
        "accuracy": accuracy(log_odds, labels),
        "log_score": log_score(log_odds, labels),
        "expected_calibration_error": sum(one["n"] * abs(one["predicted"] - one["came_true"]) for one in bins)
        / len(found),
        "fitted_temperature": temperature,
        "fitted_temperature_reason": reason,
        "bins": bins,
    }


def by_depth(found: Sequence[Prediction]) -> dict[str, Any]:
    depths = sorted({one.depth for one in found})
    return {str(depth): summary([one for one in found if one.depth == depth]) for depth in depths}


def _bins(found: Sequence[Prediction]) -> list[dict[str, float]]:
    """Return per bin of the probability of the likelier option: how many, mean prediction, share that came true."""
    from reward_server.rewards.models.preference import sigmoid

    binned: dict[int, list[tuple[float, bool]]] = {}
    for one in found:
        sure = sigmoid(abs(one.log_odds))
        right = (one.log_odds > 0) == one.label
        binned.setdefault(min(BINS - 1, int((sure - 0.5) * 2 * BINS)), []).append((sure, right))
    return [
        {
            "n": len(some),
            "predicted": sum(sure for sure, _ in some) / len(some),
            "came_true": sum(right for _, right in some) / len(some),
        }
        for _, some in sorted(binned.items())
    ]


def _labelled(depth: int, label: Score, predicted: Score, pairs: int) -> list[Prediction]:
    found = []
    for place in range(pairs):
        truth = label.components[f"log_odds.{place}"]
        odds = predicted.components[f"log_odds.{place}"]
        if truth and odds is not None and not label.components[f"flipped.{place}"]:
            found.append(Prediction(depth, odds, truth > 0))
    return found


def _temperature(log_odds: Sequence[float], labels: Sequence[bool]) -> tuple[float | None, str | None]:
    try:
        return fitted_temperature(log_odds, labels), None
    except ValueError as error:
        return None, str(error)
