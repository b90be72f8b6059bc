"""What each arm asks in a scenario: a policy's own words, a question of the bank, or the likely best of several."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from guerdon.messages import Score
from preference_elicitation import catalogue, named_seed
from preference_elicitation.arm import Arm
from preference_elicitation.reward_scores import Rewards
from preference_elicitation.speaker import Speaker
from reward_server.rewards.models.endpoint import NoAnswer

Row = Mapping[str, Any]
Asked = str | Score
"""A question, "" where a model says nothing; or the failed score of one that never came."""


def questions(arm: Arm, asked: Sequence[tuple[Row, int]], speaker: Speaker | None, seed: int) -> list[Asked]:
    """Return the question of a random arm or a policy for each (row, draw)."""
    seeds = [named_seed.of(seed, arm.key, row["scenario"], row["depth"], draw) for row, draw in asked]
    if speaker is None:
        bank = catalogue.questions()
        return [random.Random(one).choice(bank).text for one in seeds]
    said = speaker.say([row["prompt"] for row, _ in asked], seeds)
    return [Score.failed(one.status, str(one)) if isinstance(one, NoAnswer) else one for one in said]


def best(candidates: Sequence[Asked], row: Row, others: Sequence[str], rewards: Rewards) -> Asked:
    """Return the candidate with the highest gain to be expected of somebody whom the conversation fits.

    Nobody knows who answers. So every candidate is put to `others`, who will not, and the gains are averaged, each
    weighted by how well the conversation so far predicts that persona (accuracy beyond chance): a persona that has
    said the opposite counts for nothing.

    A candidate without a single gain cannot be chosen. The failed score of the first is returned where that is so of
    all, and that of any candidate which never came: the best of fewer would be another arm's.
    """
    if failed := next((one for one in candidates if isinstance(one, Score)), None):
        return failed
    different = [text for text in dict.fromkeys(candidates) if isinstance(text, str)]
    if len(different) == 1:
        return different[0]
    asked = [(question, {**row, "persona": other}) for question in different for other in others]
    scores = rewards.gains(asked)
    each = [scores[start : start + len(others)] for start in range(0, len(scores), len(others))]
    gains = [(question, expected(some)) for question, some in zip(different, each, strict=True)]
    worth = {question: gain for question, gain in gains if gain is not None}
    if not worth:
        return Score.failed(scores[0].status, f"no candidate has a gain: {scores[0].error}")
    return max(worth, key=worth.__getitem__)


def expected(scores: Sequence[Score]) -> float | None:
    """Return the mean gain over personas, weighted by how well each was predicted before; None where none is known."""
    known = [(score.value, score.components.get("accuracy_before")) for score in scores if score.value is not None]
    if not known:
        return None
    weights = [max(0.0, (accuracy if accuracy is not None else 0.5) - 0.5) for _, accuracy in known]
    total = sum(weights)
    if total == 0:
        return sum(value for value, _ in known) / len(known)
    return sum(weight * value for weight, (value, _) in zip(weights, known, strict=True)) / total
