"""Dialogues between a seeker and a recommender whose replies are of mixed quality, with the true level of each."""

import random
from collections.abc import Iterator
from typing import Any

from empathetic_recommender.film_dialogues import films
from empathetic_recommender.film_dialogues.reply import Slots, drawn, written
from empathetic_recommender.film_dialogues.seeker import Seeker

Row = dict[str, Any]
MOST_TURNS = 3
"""Replies of one dialogue in the data; a simulated user goes on for longer."""


def rows(count: int, seed: int, first: int = 0) -> list[Row]:
    """Return one row a reply of `count` dialogues; the same seed gives the same rows.

    A row: `dialogue`, its id; `seeker`, the persona; `conversation`, chat messages up to the seeker's last; `reply`;
    `reference`, a reply that is as good as can be; `levels`, the truth; `answer`, what the seeker said to the reply.
    """
    return [row for number in range(first, first + count) for row in _dialogue(number, seed)]


def reference(seeker: Seeker, rng: random.Random) -> str:
    """Return a reply that is as good as can be, in some wording."""
    best = Slots(2, rng.choice(seeker.fitting()), 2, 2)
    return written(best, seeker.genre, seeker.feeling, rng)


def _dialogue(number: int, seed: int) -> Iterator[Row]:
    rng = random.Random(f"{seed}/{number}")
    seeker = Seeker.drawn(rng)
    conversation = [{"role": "user", "content": seeker.opening(rng)}]
    other = [film for film in films.FILMS if film.genre != seeker.genre]
    for turn in range(MOST_TURNS):
        slots = drawn(seeker.fitting(), other, rng)
        reply = written(slots, seeker.genre, seeker.feeling, rng)
        answer = seeker.answer(conversation[-1]["content"], reply, rng)
        yield {
            "id": f"{seed}-{number}-{turn}",
            "dialogue": f"{seed}-{number}",
            "seeker": seeker.record(),
            "conversation": list(conversation),
            "reply": reply,
            "reference": reference(seeker, rng),
            "levels": slots.levels(seeker.genre),
            "answer": answer._asdict(),
        }
        if answer.decision != "stay":
            return
        conversation += [{"role": "assistant", "content": reply}, {"role": "user", "content": answer.text}]
