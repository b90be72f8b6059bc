"""How a seeker may feel: how they say it, and how somebody who listened answers."""

from typing import NamedTuple


class Feeling(NamedTuple):
    """One feeling; the `answers` name it, and `word` is in each of them."""

    word: str
    said: tuple[str, ...]
    answers: tuple[str, ...]


FEELINGS = (
    Feeling(
        "lonely",
        ("I feel rather lonely these days.", "My flat is so empty, I am lonely."),
        ("Being lonely is hard, and I am glad you wrote.", "I am sorry that you feel lonely; let us find you company."),
    ),
    Feeling(
        "stressed",
        ("I am so stressed by work.", "My exams have me completely stressed."),
        ("No wonder you are stressed, that is a lot to carry.", "Feeling stressed wears one out; you deserve a rest."),
    ),
    Feeling(
        "heartbroken",
        ("We broke up and I am heartbroken.", "I am heartbroken since she left."),
        ("I am so sorry that you are heartbroken.", "Being heartbroken takes time, be kind to yourself."),
    ),
    Feeling(
        "anxious",
        ("I am anxious about tomorrow.", "I cannot sleep, I feel so anxious."),
        ("Feeling anxious is exhausting, I understand.", "It makes sense to be anxious; let us calm the evening down."),
    ),
    Feeling(
        "bored",
        ("I am terribly bored tonight.", "It rains all week and I am bored."),
        ("Being bored all evening is no fun, I know.", "Bored is a feeling we can do something about together."),
    ),
    Feeling(
        "happy",
        ("I passed the test and I am so happy!", "I am happy, my sister is visiting."),
        ("How lovely that you are happy, congratulations!", "It is a joy to read that you are happy."),
    ),
)
BY_WORD = {feeling.word: feeling for feeling in FEELINGS}
GENERIC = ("I see.", "I understand.", "Thank you for telling me.", "All right.")
"""Answers that take note of somebody without saying of what."""


def named(text: str) -> bool:
    """Return whether a text names any of the feelings."""
    lower = text.lower()
    return any(feeling.word in lower for feeling in FEELINGS)


def noted(text: str) -> bool:
    """Return whether a text takes note of the other at all."""
    return named(text) or any(words in text for words in GENERIC)
