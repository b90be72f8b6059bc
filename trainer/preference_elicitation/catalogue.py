"""The texts that ship: 60 cars, 20 people with ten scenarios each, a bank of questions, and what they are about."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from preference_elicitation.elicitation_error import ElicitationError

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "price": ("cheap", "premium"),
    "energy": ("petrol", "hybrid", "electric"),
    "size": ("small", "large"),
    "condition": ("new", "used"),
    "ride": ("sporty", "comfortable"),
    "ground": ("road", "offroad"),
}
"""What cars differ in, and the words for it; no word stands for two attributes."""

SURELY, MAYBE = 2, 1
"""How much a wish weighs."""

ITEMS, PERSONAS, QUESTIONS, SCENARIOS = (
    Path(str(files("preference_elicitation") / "data" / f"{name}.toml"))
    for name in ("items", "personas", "questions", "scenarios")
)


@dataclass(frozen=True)
class Item:
    """A car: its id, category and description, and a word per attribute, in the order of ATTRIBUTES."""

    name: str
    category: str
    text: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Persona:
    """A person: id, description, and the weight of every word that the person wants."""

    name: str
    text: str
    wishes: Mapping[str, int]


@dataclass(frozen=True)
class Question:
    """A question of the bank, and the attribute that it is about; None: its answer says nothing of cars."""

    text: str
    about: str | None


@dataclass(frozen=True)
class Scenario:
    """What somebody says on coming in; `name` is that of the person and a number from 1."""

    name: str
    persona: str
    text: str


@cache
def items() -> tuple[Item, ...]:
    return tuple(
        Item(name, entry["category"], entry["text"], tuple(entry[attribute] for attribute in ATTRIBUTES))
        for name, entry in _read(ITEMS).items()
    )


@cache
def personas() -> tuple[Persona, ...]:
    return tuple(
        Persona(name, entry["text"], dict.fromkeys(entry["surely"], SURELY) | dict.fromkeys(entry["maybe"], MAYBE))
        for name, entry in _read(PERSONAS).items()
    )


@cache
def questions() -> tuple[Question, ...]:
    return tuple(Question(entry["text"], entry.get("about")) for entry in _read(QUESTIONS).values())


@cache
def scenarios(path: Path | None = None) -> tuple[Scenario, ...]:
    """Return the scenarios that ship, or those of a file in the same form: tables with the keys persona and text.

    Raises:
        ElicitationError: the file cannot be read, or a table of it lacks one of them.
    """
    try:
        entries = _read(path or SCENARIOS)
    except (OSError, ValueError) as error:
        raise ElicitationError(f"{path} cannot be read: {error}") from None
    return tuple(_scenario(name, entry, path) for name, entry in entries.items())


def attribute(word: str) -> str:
    return next(name for name, words in ATTRIBUTES.items() if word in words)


def _scenario(name: str, entry: Any, path: Path | None) -> Scenario:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("persona", "text")):
        raise ElicitationError(f"{path}: {name} is no scenario; it is a table with the texts persona and text")
    return Scenario(name, entry["persona"], entry["text"])


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
