"""Prompts and demonstrations, made from a seed: the corpus of a small model, and what a run trains and measures on."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from grpo_trainer.openers import lines

REQUIRED = (lines.HOUSE, "you", "?")
"""What an opener has to mention: the reference of every prompt, for the reward `mentions`."""
HELD_OUT_EVERY = 4
"""One situation in so many is kept for validation: in no corpus and no training."""


def situations(*, held_out: bool) -> list[str]:
    """Return every prompt of one side, in an order that depends on nothing."""
    every = [
        f"It is {when}, and {who} looks at {car}. Open the talk in one line: name {lines.HOUSE} and ask one question."
        for who, car, when in product(lines.WHO, lines.LOOKS_AT, lines.WHEN)
    ]
    random.Random("situations").shuffle(every)
    return [one for place, one in enumerate(every) if (place % HELD_OUT_EVERY == 0) == held_out]


def demonstrations(rows: int, careless: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield corpus rows {prompt, completion}.

    Args:
        careless: the share of openers that do not name the house, and of those that ask nothing.
    """
    rng = random.Random(f"demonstrations/{seed}")
    known = situations(held_out=False)
    for _ in range(rows):
        yield {"prompt": rng.choice(known), "completion": opener(careless, rng)}


def opener(careless: float, rng: random.Random) -> str:
    house = rng.choice(lines.ELSEWHERE) if rng.random() < careless else lines.HOUSE
    statement = rng.choice(lines.STATEMENTS).format(house=house, colour=rng.choice(lines.COLOURS))
    return f"{statement}; {rng.choice(lines.ENDINGS if rng.random() < careless else lines.QUESTIONS)}"
