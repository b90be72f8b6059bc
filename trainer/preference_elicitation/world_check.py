"""Whether a small world has learnt what a policy is to find out: asked before any policy is trained in it.

Its labeller has to choose as described people would, and its predictor has to know more after an answer that tells
something, and no more after one that tells nothing. A policy trained in a world without that would learn noise.
"""

import random
from collections.abc import Sequence
from typing import Any

from guerdon.messages import Score
from preference_elicitation import catalogue, short_form
from preference_elicitation.catalogue import Item, Persona
from preference_elicitation.dialogue import OPENING
from preference_elicitation.elicitation_error import ElicitationError
from reward_server.rewards import Item as Asked
from reward_server.rewards.logprob_preference import LogprobPreference
from reward_server.rewards.models.dialogue import in_persona
from reward_server.rewards.models.log_score import accuracy, log_score

PAIRS = 20
"""Of each persona; those that it does not care about are left out."""
KNOWN: dict[str, tuple[str | None, ...]] = {
    "nothing": (),
    "an aside": (None,),
    "price": ("price",),
    "energy": ("energy",),
    "price and energy": ("price", "energy"),
}
"""What is asked in a conversation; None is a question that is not about cars."""
LABELLER = 0.85
RISE, DRIFT = 0.05, 0.03
"""By how much accuracy has to rise with the price, and may at most with an aside."""
Pairs = Sequence[tuple[Item, Item]]


def measured(model: str, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return accuracy and log score (nats per pair) of the labeller, and of the predictor by what it knows.

    Raises:
        ElicitationError: there is no such model.
    """
    kind = LogprobPreference(model=model, dtype="float32")
    try:
        kind.load()
    except (OSError, ValueError) as error:
        raise ElicitationError(f"{model} cannot be loaded: {error}") from None
    draw = random.Random(seed)
    cars = catalogue.items()
    asked = [(one, _cared_for(one, _pairs(cars, draw))) for one in catalogue.personas()]
    told = [{"transcript": [], "system": in_persona(short_form.persona(one))} for one, _ in asked]
    found = {"labeller": _scored(kind, told, asked)}
    for name, about in KNOWN.items():
        talks = [{"transcript": _transcript(one, about, draw)} for one, _ in asked]
        found[name] = _scored(kind, talks, asked)
    return found


def problems(found: dict[str, dict[str, float]]) -> list[str]:
    """Return what the world has not learnt, in words."""
    share = {name: one["accuracy"] for name, one in found.items()}
    said = []
    if share["labeller"] < LABELLER:
        said.append(
            f"the labeller is right in {share['labeller']:.0%} of its choices, and {LABELLER:.0%} are asked for"
        )
    if share["price"] - share["nothing"] < RISE:
        said.append(f"knowing the price takes the predictor from {share['nothing']:.0%} to {share['price']:.0%} only")
    if abs(share["an aside"] - share["nothing"]) > DRIFT:
        said.append(f"an aside takes the predictor from {share['nothing']:.0%} to {share['an aside']:.0%}")
    return said


def _pairs(cars: Sequence[Item], draw: random.Random) -> list[tuple[Item, Item]]:
    drawn = [draw.sample(cars, 2) for _ in range(PAIRS)]
    return [(one, other) for one, other in drawn]


def _cared_for(person: Persona, pairs: Pairs) -> Pairs:
    return [(a, b) for a, b in pairs if short_form.utility(person, a) != short_form.utility(person, b)]


def _transcript(person: Persona, about: Sequence[str | None], draw: random.Random) -> list[dict[str, str]]:
    openings = [one.text for one in catalogue.scenarios() if one.persona == person.name]
    said = [{"question": OPENING, "answer": draw.choice(openings)}]
    for attribute in about:
        question = draw.choice([one for one in catalogue.questions() if one.about == attribute])
        said.append({"question": question.text, "answer": short_form.answer(person, attribute)})
    return said


def _scored(
    kind: LogprobPreference, contexts: Sequence[dict[str, Any]], asked: Sequence[tuple[Persona, Pairs]]
) -> dict[str, float]:
    items = [
        Asked("", "", context=context | {"pairs": [[short_form.item(a), short_form.item(b)] for a, b in pairs]})
        for context, (_, pairs) in zip(contexts, asked, strict=True)
        if pairs
    ]
    log_odds: list[float] = []
    labels: list[bool] = []
    for (one, pairs), score in zip([some for some in asked if some[1]], kind.score(items), strict=True):
        log_odds += [_log_odds(score, place) for place in range(len(pairs))]
        labels += [short_form.utility(one, a) > short_form.utility(one, b) for a, b in pairs]
    return {"accuracy": accuracy(log_odds, labels), "log_score": log_score(log_odds, labels), "pairs": len(labels)}


def _log_odds(score: Score, place: int) -> float:
    found = score.components[f"log_odds.{place}"]
    assert found is not None
    return found
