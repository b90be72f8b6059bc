"""What small models are trained on: a recommender's replies of mixed quality, and a seeker's answers by the rule."""

from collections.abc import Iterable
from typing import Any

from empathetic_recommender.film_dialogues.dialogues import Row
from empathetic_recommender.film_dialogues.seeker import Answer, Seeker
from empathetic_recommender.user_prompt import asked, line


def of_policy(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of `guerdon small-model`: the conversation, and the reply that it got."""
    return [{"prompt": row["conversation"], "completion": row["reply"]} for row in rows]


def of_user(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of `guerdon small-model`: persona and dialogue, and what the seeker says to the last reply."""
    return [
        {
            "prompt": asked(Seeker.of(row["seeker"]), row["conversation"], row["reply"]),
            "completion": line(Answer(**row["answer"])),
        }
        for row in rows
    ]
