"""A car seller's first line to a customer: many good answers to every prompt, which has to name three things."""

import random
from typing import Annotated, Any

from pydantic import Field

from grpo_trainer.openers.demonstrations import REQUIRED, situations

Rows = list[dict[str, Any]]


def load(
    *,
    rows: Annotated[int, Field(ge=1)] = 200,
    validation_rows: Annotated[int, Field(ge=0)] = 64,
    seed: int = 0,
) -> tuple[Rows, Rows]:
    """Return (train, validation) rows; `reference` says what to mention, for the reward `mentions`.

    Args:
        rows: prompts to train on, drawn with the seed.
        validation_rows: prompts that are in no training and no corpus; the same for every seed.
        seed: of what is trained on.

    Raises:
        ValueError: there are not so many.
    """
    train, held_out = situations(held_out=False), situations(held_out=True)
    if rows > len(train) or validation_rows > len(held_out):
        raise ValueError(f"there are {len(train)} prompts to train on and {len(held_out)} for validation")
    drawn = random.Random(f"rows/{seed}").sample(train, rows)
    return [_row(text) for text in drawn], [_row(text) for text in held_out[:validation_rows]]


def _row(text: str) -> dict[str, Any]:
    return {"prompt": [{"role": "user", "content": text}], "reference": list(REQUIRED)}
