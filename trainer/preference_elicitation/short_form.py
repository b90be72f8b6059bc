"""Cars, people and answers in single words, for models that are small enough to be trained in minutes.

Of the six attributes three are kept, those that people care about most; how much a wish weighs is left to its
attribute, so that it need not be said: energy more than size, and price more than both together.
"""

from collections.abc import Mapping

from preference_elicitation.catalogue import Item, Persona, attribute

WEIGHTS: Mapping[str, int] = {"price": 4, "energy": 2, "size": 1}
NO_MATTER = "I do not mind."
ASIDE = "Let us talk about cars."
"""The answer to a question that is not about cars."""


def item(one: Item) -> str:
    return " ".join(words(one))


def words(one: Item) -> list[str]:
    return [word for word in one.words if attribute(word) in WEIGHTS]


def persona(one: Persona) -> str:
    """Return who somebody is: what they want, and nothing else."""
    return f"You want {' '.join(wishes(one).values()) or 'any car'}."


def wishes(one: Persona) -> dict[str, str]:
    """Return the word that is wanted of each attribute for which there is a wish."""
    wanted = {attribute(word): word for word in one.wishes}
    return {name: wanted[name] for name in WEIGHTS if name in wanted}


def answer(one: Persona, about: str | None) -> str:
    """Return what somebody answers to a question about an attribute, or about none."""
    if about is None:
        return ASIDE
    word = wishes(one).get(about)
    return f"I want {word}." if word else NO_MATTER


def utility(one: Persona, car: Item) -> int:
    """Return what the wishes that a car fulfils weigh together."""
    return sum(WEIGHTS[name] for name, word in wishes(one).items() if word in car.words)
