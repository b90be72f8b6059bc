"""A recommender's reply, put together of phrases whose presence decides how good it is."""

import random
from dataclasses import dataclass

from empathetic_recommender.film_dialogues.feelings import BY_WORD, GENERIC
from empathetic_recommender.film_dialogues.films import Film

LEVELS = (0.2, 0.5, 0.8)
"""Of an attribute that is not served, in part, and in full."""
OVERALL = {"empathy": 0.3, "informativeness": 0.2, "recommendation": 0.35, "engagement": 0.15}
"""How much each attribute counts in `overall`."""
POLITE = 0.6
"""Every reply is as polite as the others: an attribute whose labels have no variance."""

NAMING = (
    "You could watch {title}.",
    "I recommend {title}.",
    "How about {title}?",
    "{title} would be my choice.",
)
NOTHING = (
    "There are many films one could watch.",
    "There is a lot to choose from.",
    "Films are a good idea.",
)
MAKING = ("It is by {director}, from {year}.", "{director} made it in {year}.")
REASONS = {
    "comedy": ("It is a comedy that keeps one laughing.", "Few comedies are so warm and so silly."),
    "thriller": ("It is a thriller that never lets go.", "Few thrillers build their tension so slowly."),
    "science fiction film": ("It is science fiction that wonders about us.", "Few films of the future feel so real."),
    "romance": ("It is a romance told with great tenderness.", "Few love stories are so honest."),
    "cartoon": ("It is drawn with love in every frame.", "Few cartoons move grown-ups so much."),
    "western": ("It is a western of wide land and hard choices.", "Few westerns look so closely at courage."),
}
TALK = ("It is quite well known.", "People talk about it a lot.", "Many have seen it.")
"""Says something and informs about nothing."""
CLOSED = ("Is that okay?", "Would you like that?", "Shall I go on?")
OPEN = (
    "What was the last film that stayed with you?",
    "Which actors do you like to watch most?",
    "What do you enjoy most in a film like this?",
)


@dataclass(frozen=True)
class Slots:
    """What a reply has; each number is 0, 1 or 2 of what there could be.

    Attributes:
        care: no word about the seeker, a generic one, or one that names the feeling.
        film: what is recommended, if anything.
        facts: sentences that inform about it, or about the genre.
        interest: no question, one to be answered by yes or no, or an open one.
    """

    care: int
    film: Film | None
    facts: int
    interest: int

    def levels(self, genre: str) -> dict[str, float]:
        """Return the true level of every attribute, for a seeker of this genre; all in [0.2, 0.8]."""
        found = {
            "empathy": LEVELS[self.care],
            "informativeness": LEVELS[self.facts],
            "recommendation": LEVELS[self._fit(genre)],
            "engagement": LEVELS[self.interest],
        }
        overall = sum(weight * found[name] for name, weight in OVERALL.items())
        return found | {"overall": round(overall, 6), "politeness": POLITE}

    def _fit(self, genre: str) -> int:
        """Return 0 where no film is named, 1 for one of another genre, 2 for a fitting one."""
        if self.film is None:
            return 0
        return 2 if self.film.genre == genre else 1


def drawn(films: list[Film], other: list[Film], rng: random.Random, good: float = 0.4) -> Slots:
    """Return slots drawn at random: each at its best with probability `good`, else one of the lesser, evenly."""
    film = rng.choice(films) if rng.random() < good else rng.choice([None, rng.choice(other)])
    return Slots(_level(rng, good), film, _level(rng, good), _level(rng, good))


def written(slots: Slots, genre: str, feeling: str, rng: random.Random) -> str:
    """Return a reply with these slots in some wording."""
    parts = []
    if slots.care:
        parts.append(rng.choice(BY_WORD[feeling].answers if slots.care == 2 else GENERIC))
    film = slots.film
    parts.append(rng.choice(NAMING).format(title=film.title) if film else rng.choice(NOTHING))
    reason = rng.choice(REASONS[film.genre if film else genre])
    making = rng.choice(MAKING).format(**film._asdict()) if film else "The older ones are from the forties."
    parts += {0: [rng.choice(TALK)], 1: [rng.choice([reason, making])], 2: [making, reason]}[slots.facts]
    if slots.interest:
        parts.append(rng.choice(OPEN if slots.interest == 2 else CLOSED))
    return " ".join(parts)


def _level(rng: random.Random, good: float) -> int:
    return 2 if rng.random() < good else rng.randrange(2)
