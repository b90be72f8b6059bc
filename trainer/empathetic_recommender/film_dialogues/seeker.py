"""Somebody who looks for a film: what they say first, and by which rule they accept, go on, or leave."""

import random
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self

from empathetic_recommender.film_dialogues import feelings, films

Decision = Literal["accept", "stay", "leave"]

WISHES = ("Which {genre} should I watch?", "I am looking for a {genre}.", "Can you suggest a {genre}?")
LIKED = ("I liked {liked}.", "{liked} was wonderful.", "I have seen {liked} twice.")
ACCEPTED = {
    "named": 0.95,  # the reply names how they feel
    "noted": 0.6,  # it takes note of them
    "": 0.2,  # it says nothing about them
}
"""How likely a seeker accepts a fitting film that is new to them, by what the reply says about them."""
LAST_TRY = "Last try:"
"""Begins what a seeker says whose patience ends: the next reply that does not help is the last one."""


class Answer(NamedTuple):
    decision: Decision
    text: str


@dataclass(frozen=True)
class Seeker:
    """A persona.

    Attributes:
        feeling: the word for it.
        genre: of the film they look for.
        liked: the title of one that they know, and like; of that genre.
        patient: whether they forgive the first reply that does not help without losing patience.
    """

    feeling: str
    genre: str
    liked: str
    patient: bool

    @classmethod
    def drawn(cls, rng: random.Random) -> Self:
        genre = rng.choice(films.GENRES)
        liked = rng.choice(films.of(genre)).title
        return cls(rng.choice(feelings.FEELINGS).word, genre, liked, rng.random() < 0.5)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        return cls(row["feeling"], row["genre"], row["liked"], row["patient"])

    def record(self) -> dict[str, Any]:
        return asdict(self)

    def opening(self, rng: random.Random) -> str:
        parts = [
            rng.choice(feelings.BY_WORD[self.feeling].said),
            rng.choice(WISHES).format(genre=self.genre),
            rng.choice(LIKED).format(liked=self.liked),
        ]
        return " ".join(parts)

    def fitting(self) -> list[films.Film]:
        """Return the films that would be right: of the genre, and new to the seeker."""
        return [film for film in films.of(self.genre) if film.title != self.liked]

    def answer(self, before: str, reply: str, rng: random.Random) -> Answer:
        """Return what the seeker says to a reply, by the rule.

        Args:
            before: what the seeker said last.
            reply: what the recommender answered.
        """
        named = films.named(reply)
        right = [film for film in named if film in self.fitting()]
        if right and rng.random() < ACCEPTED[self._attention(reply)]:
            return Answer("accept", f"{right[0].title} sounds right, I will watch it. Thank you!")
        if before.startswith(LAST_TRY):
            return Answer("leave", "Never mind, I will look for one myself.")
        said = self._objection(named, bool(right))
        if self.patient and not before.startswith("Hmm."):
            return Answer("stay", f"Hmm. {said}")
        return Answer("stay", f"{LAST_TRY} {said}")

    def _objection(self, named: list[films.Film], right: bool) -> str:
        wish = f"I feel {self.feeling} and look for a {self.genre}."
        if right:
            return f"Maybe, but you hardly listened. {wish}"
        if not named:
            return f"Please name a film. {wish}"
        if named[0].title == self.liked:
            return f"I know {self.liked} already. {wish}"
        return f"{named[0].title} is no {self.genre}. {wish}"

    @staticmethod
    def _attention(reply: str) -> str:
        return "named" if feelings.named(reply) else "noted" if feelings.noted(reply) else ""
