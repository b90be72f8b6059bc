"""Whether predicted preferences come true as often as they say: the predictor of the reward, on collected prompts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from guerdon.messages import Item, Score
from preference_elicitation.elicitation_error import ElicitationError
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


class Predictor:
    """The predictor of a served information_gain, and the labeller that says what its personas prefer."""

    def __init__(self, rewards: Rewards) -> None:
        """Read the server's texts.

        Raises:
            ElicitationError: its files of items and personas cannot be read here.
        """
        self._rewards, settings = rewards, rewards.settings
        try:
            self._items, self._people = read_texts(settings["items"]), read_texts(settings["personas"])
        except (KeyError, ValueError) as error:
            raise ElicitationError(f"--calibrate reads the reward server's own texts: {error}") from None
        self._name = str(settings["preference"])
        self._labeller = str(settings["labeller"] or self._name)

    def record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is predicted of a row's pairs from its transcript, and whether its persona prefers so.

        `predictions` holds a Prediction a pair that has a label: the same pairs, labels and prompts as in
        information_gain. Where a score failed there is none, and its status is the record's.

        Raises:
            ElicitationError: the row's persona is none of the server's, or the server is gone.
        """
        pairs = drawn(list(self._items.texts), int(self._rewards.settings["pairs"]), row["pair_seed"])
        shown = [[self._items[name] for name in pair.shown()] for pair in pairs]
        persona = in_persona(self._person(row["persona"]))
        told: dict[str, Any] = {"transcript": [], "system": persona, "pairs": shown}
        [label] = self._rewards.scores(self._labeller, [Item(completion="", context=told)])
        asked = Item(completion="", context={"transcript": row["transcript"], "pairs": shown})
        [predicted] = self._rewards.scores(self._name, [asked])
        if failed := next((one for one in (label, predicted) if not one.ok), None):
            return {"status": failed.status, "error": failed.error, "predictions": []}
        return {"status": "ok", "predictions": _labelled(row["depth"], label, predicted, len(pairs))}

    def _person(self, name: str) -> str:
        try:
            return self._people[name]
        except ValueError as error:
            raise ElicitationError(f"--calibrate: {error}") from None


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
