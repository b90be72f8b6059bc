"""Preferences of this project's own: chat prompts with replies of known quality, because they are put together.

A reply has qualities that a person would name: whether it answers the question, says something specific, is polite,
does not ramble, and does not break off. Its quality is a sum of them, and of two replies to one prompt the better is
the one with more. The texts are written for this project; nothing is taken from a data set.
"""

import json
import random
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

Row = dict[str, Any]

ANSWER = {"specific": 2.0, "vague": 0.0, "off_topic": -1.0}
"""What the middle of a reply is worth: advice on the question, words without advice, advice on another question."""
TONE = {"polite": 0.5, "plain": 0.0, "rude": -1.0}
RAMBLING = -0.75
"""Each sentence that leads nowhere."""
BROKEN_OFF = -3.0
"""What a reply is worth that ends in the middle; without such pairs, the shortest scrap of a good reply scores best."""
BROKEN_SHARE = 0.2
"""Of the replies that are compared; the corpus has none."""
HELD_OUT_EVERY = 4
"""One question in so many is for comparisons: in no policy's training by the reward."""
SMALLEST_GAP = 1.0
"""Two replies nearer than this in quality make no preference."""


@dataclass(frozen=True)
class Reply:
    """A reply and its quality, in [-4.5, 3], or in [-3, 0] where it breaks off; higher is better."""

    text: str
    quality: float


@cache
def texts() -> dict[str, Any]:
    """Return the topics and phrases that replies are put together from."""
    found: dict[str, Any] = json.loads((files("reward_model_trainer") / "chat_topics.json").read_text(encoding="utf-8"))
    return found


def topics() -> list[dict[str, Any]]:
    return list(texts()["topics"])


def reply(topic: dict[str, Any], rng: random.Random) -> Reply:
    """Return a reply to a question on `topic`, each quality drawn by itself."""
    answer = rng.choices(list(ANSWER), (6, 3, 1))[0]
    opening, closing = (rng.choices(list(TONE), (3, 4, 2))[0] for _ in range(2))
    filler = rng.sample(texts()["rambling"], rng.choices((0, 1, 2), (5, 3, 2))[0])
    parts = [
        rng.choice(texts()["openings"][opening]),
        _answer(topic, answer, rng),
        *filler,
        rng.choice(texts()["closings"][closing]),
    ]
    quality = ANSWER[answer] + TONE[opening] + TONE[closing] + RAMBLING * len(filler)
    return Reply(" ".join(part for part in parts if part), quality)


def preference(topic: dict[str, Any], rng: random.Random) -> Row:
    """Return one row {"prompt", "chosen", "rejected", "topic"}: two replies whose qualities differ clearly."""
    while True:
        worse, better = sorted((_compared(topic, rng), _compared(topic, rng)), key=lambda one: one.quality)
        if better.quality - worse.quality >= SMALLEST_GAP:
            question = rng.choice(topic["questions"])
            return {"prompt": question, "chosen": better.text, "rejected": worse.text, "topic": topic["name"]}


def broken_off(whole: Reply, rng: random.Random) -> Reply:
    """Return the first few words of a reply, worth the more the more of it is there."""
    words = whole.text.split()
    kept = rng.randrange(1, max(2, len(words) - 1))
    return Reply(" ".join(words[:kept]).rstrip(".!?"), BROKEN_OFF * (1 - kept / len(words)))


def preferences(count: int, seed: int) -> list[Row]:
    """Return `count` preferences."""
    rng = random.Random(f"preferences {seed}")
    return [preference(rng.choice(topics()), rng) for _ in range(count)]


def corpus(count: int, seed: int) -> list[Row]:
    """Return {"prompt", "completion"} rows of mixed quality: what a small policy learns to talk from."""
    rng = random.Random(f"corpus {seed}")
    rows = []
    for _ in range(count):
        topic = rng.choice(topics())
        rows.append({"prompt": rng.choice(topic["questions"]), "completion": reply(topic, rng).text})
    return rows


def prompts(*, held_out: bool) -> list[Row]:
    """Return every question of one side once, as {"prompt"} rows: to train a policy on, or to compare policies on.

    Preferences and corpus are of both sides.
    """
    questions = [question for topic in topics() for question in topic["questions"]]
    return [{"prompt": one} for place, one in enumerate(questions) if (place % HELD_OUT_EVERY == 0) == held_out]


def _compared(topic: dict[str, Any], rng: random.Random) -> Reply:
    whole = reply(topic, rng)
    return broken_off(whole, rng) if rng.random() < BROKEN_SHARE else whole


def _answer(topic: dict[str, Any], kind: str, rng: random.Random) -> str:
    if kind == "vague":
        return str(rng.choice(texts()["vague"]))
    if kind == "off_topic":
        topic = rng.choice([other for other in topics() if other["name"] != topic["name"]])
    return str(rng.choice(topic["answers"]))
