"""What each arm asks in a scenario: a policy's own words, a question of the bank, or the likely best of several."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guerdon.messages import Score
from preference_elicitation import catalogue
from preference_elicitation.arm import Arm
from preference_elicitation.reward_scores import Rewards
from preference_elicitation.speaker import Speaker

Row = Mapping[str, Any]
Said = Callable[[int], None]


def questions(arm: Arm, asked: Sequence[tuple[Row, int]], speaker: Speaker | None, seed: int) -> list[str]:
    """Return the question of a random arm or a policy for each (row, draw); "" where a model says nothing."""
    seeds = [seeded(f"{seed} {arm.key} {row['scenario']} {row['depth']} {draw}") for row, draw in asked]
    if speaker is None:
        bank = catalogue.questions()
        return [random.Random(one).choice(bank).text for one in seeds]
    return [text or "" for text in speaker.say([row["prompt"] for row, _ in asked], seeds)]


def best(candidates: Sequence[str], row: Row, others: Sequence[str], rewards: Rewards) -> str:
    """Return the candidate with the highest gain to be expected of somebody whom the conversation fits.

    Nobody knows who answers. So every candidate is put to `others`, and the gains are averaged, each weighted by how
    well the conversation so far predicts that persona (accuracy beyond chance): a persona that has said the opposite
    counts for nothing.
    """
    different = list(dict.fromkeys(candidates))
    if len(different) == 1:
        return different[0]
    asked = [(question, {**row, "persona": other}) for question in different for other in others]
    scores = rewards.gains(asked, lambda _: None)
    each = [scores[start : start + len(others)] for start in range(0, len(scores), len(others))]
    worth = [expected(some) for some in each]
    return different[max(range(len(different)), key=lambda place: worth[place])]


def expected(scores: Sequence[Score]) -> float:
    """Return the mean gain over personas, weighted by how well each was predicted before; -inf where none is known."""
    known = [(score.value, score.components.get("accuracy_before")) for score in scores if score.value is not None]
    if not known:
        return float("-inf")
    weights = [max(0.0, (accuracy if accuracy is not None else 0.5) - 0.5) for _, accuracy in known]
    total = sum(weights)
    if total == 0:
        return sum(value for value, _ in known) / len(known)
    return sum(weight * value for weight, (value, _) in zip(weights, known, strict=True)) / total


def seeded(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1
