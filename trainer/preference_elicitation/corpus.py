"""The corpus that the proof's two small models are trained on: a world that answers and chooses, and a questioner.

The world's prompts are exactly those that the reward server writes: an answer in persona (`participant`), a letter
for a pair of items by somebody who is told the persona (the labeller) or only the conversation (the predictor). A
fourth kind of row, which nobody serves, goes through the words of two cars and says of each whether it is wanted:
several words of an answer teach more than one letter does. The people are drawn anew for every row, with wishes as
frequent as those of the people that ship, so that what a model predicts of somebody unknown can be calibrated; only
those whom a labeller is told of may be less even, for a label follows from the description alone.
"""

import random
from collections.abc import Collection, Iterator
from typing import Any

from preference_elicitation import catalogue, short_form
from preference_elicitation.catalogue import ATTRIBUTES, SURELY, Item, Persona, Question
from preference_elicitation.dialogue import OPENING, Dialogue, opened, prompt
from reward_server.rewards.logprob_preference import QUESTION
from reward_server.rewards.models.dialogue import PERSONA, SOMEBODY, Turn, chat, in_persona

WORDS = "Option A: {a}\nOption B: {b}\nSay of each word whether you want it."
YES, NO = "yes", "no"
DEPTHS = (0, 1, 1, 1, 2, 2, 3, 4)
"""How many turns a conversation has beside its opening: one more than a prompt at most, for the answer is rewarded."""
KINDS = {"answer": 0.15, "label": 0.25, "predict": 0.45, "words": 0.15}
"""The share of each kind of row."""
ABOUT_CARS = 0.75
"""The share of a conversation's questions that are about an attribute."""

TYPICAL = {"cheap": SURELY, "electric": SURELY, "small": SURELY}
"""What most people want of whom a labeller is told. Were every wish as frequent as its opposite, neither an option nor
a wish would say anything by itself, and a model would take very long to find out what the two say together."""
TYPICAL_SHARE = 0.7

TELLING_SHARE = 0.5
"""The share of predictions after which something of a choice has been told. A prediction is of a conversation, so that
those of a calibrated model do not depend on how frequent a conversation is."""

Row = dict[str, Any]


def world(rows: int, seed: int) -> Iterator[Row]:
    """Yield rows of all four kinds, each for a person of its own."""
    draw = random.Random(f"world {seed}")
    for _ in range(rows):
        [kind] = draw.choices(list(KINDS), weights=list(KINDS.values()))
        yield _world_row(kind, draw)


def questioner(rows: int, seed: int) -> Iterator[Row]:
    """Yield conversations that go on with any question of the bank, whatever was said: a policy that knows nothing."""
    draw = random.Random(f"questioner {seed}")
    bank = catalogue.questions()
    for _ in range(rows):
        said = _conversation(_person(draw), draw)
        yield {"prompt": prompt(said.turns), "completion": draw.choice(bank).text}


def phrases() -> list[str]:
    """Return the texts that the world's rows repeat word for word; its tokenizer has one token for each."""
    return [
        *("System:", "User:", "Assistant:", "Option A:", "Option B:"),
        *(PERSONA.partition("{")[0], SOMEBODY, QUESTION.rpartition("\n")[2], WORDS.rpartition("\n")[2], OPENING),
        *(one.text for one in catalogue.scenarios()),
        *(one.text for one in catalogue.questions()),
    ]


def _world_row(kind: str, draw: random.Random) -> Row:
    if kind == "label":
        return _label(draw)
    person = _person(draw)
    told = in_persona(short_form.persona(person))
    if kind == "answer":
        question = _question(draw, 0.7)
        said = _conversation(person, draw).turns
        return {"prompt": chat(told, said, question.text), "completion": short_form.answer(person, question.about)}
    pair = draw.sample(catalogue.items(), 2)
    said = (_telling(person, draw) if draw.random() < TELLING_SHARE else _conversation(person, draw)).turns
    if kind == "predict":
        return _choice(SOMEBODY, said, person, pair, draw)
    if draw.random() < 0.5:
        return _words(told, [], short_form.wishes(person).values(), pair)
    return _words(SOMEBODY, said, _spoken(person, said), pair)


def _label(draw: random.Random) -> Row:
    """Return a choice of somebody who is described; half of the time by one wish, which one of the options fulfils."""
    person = Persona("", "", TYPICAL) if draw.random() < TYPICAL_SHARE else _person(draw)
    pair = draw.sample(catalogue.items(), 2)
    if person.wishes and draw.random() < 0.5:
        word = draw.choice(list(short_form.wishes(person).values()) or ["cheap"])
        person = Persona("", "", {word: SURELY})
        while short_form.utility(person, pair[0]) == short_form.utility(person, pair[1]):
            pair = draw.sample(catalogue.items(), 2)
    return _choice(in_persona(short_form.persona(person)), [], person, pair, draw)


def _choice(system: str, said: list[Turn], person: Persona, pair: list[Item], draw: random.Random) -> Row:
    worth = [short_form.utility(person, item) for item in pair]
    first = worth[0] > worth[1] if worth[0] != worth[1] else draw.random() < 0.5
    a, b = map(short_form.item, pair)
    return {"prompt": chat(system, said, QUESTION.format(a=a, b=b)), "completion": "A" if first else "B"}


def _words(system: str, said: list[Turn], wishes: Collection[str], pair: list[Item]) -> Row:
    told = [f"{word} {YES if word in wishes else NO}" for item in pair for word in short_form.words(item)]
    a, b = map(short_form.item, pair)
    return {"prompt": chat(system, said, WORDS.format(a=a, b=b)), "completion": " ".join(told)}


def _spoken(person: Persona, said: list[Turn]) -> set[str]:
    """Return the wishes that somebody has told."""
    told = {turn.answer for turn in said}
    return {word for about, word in short_form.wishes(person).items() if short_form.answer(person, about) in told}


def _person(draw: random.Random) -> Persona:
    """Return somebody whose wish for each attribute is that of somebody who ships, drawn for each by itself."""
    wishes: dict[str, int] = {}
    for words in ATTRIBUTES.values():
        model = draw.choice(catalogue.personas())
        wishes |= {word: model.wishes[word] for word in words if word in model.wishes}
    return Persona("", "", wishes)


def _conversation(person: Persona, draw: random.Random) -> Dialogue:
    said = opened(draw.choice(catalogue.scenarios()))
    for _ in range(draw.choice(DEPTHS)):
        question = _question(draw, ABOUT_CARS)
        said = said.with_turn(question.text, short_form.answer(person, question.about))
    return said


def _telling(person: Persona, draw: random.Random) -> Dialogue:
    """Return a conversation of questions that bear on a choice, one to all of them, in any order."""
    said = opened(draw.choice(catalogue.scenarios()))
    for about in draw.sample(list(short_form.WEIGHTS), draw.randint(1, len(short_form.WEIGHTS))):
        question = draw.choice([one for one in catalogue.questions() if one.about == about])
        said = said.with_turn(question.text, short_form.answer(person, about))
    return said


def _question(draw: random.Random, about_cars: float) -> Question:
    wanted = draw.random() < about_cars
    return draw.choice([one for one in catalogue.questions() if (one.about is not None) == wanted])
