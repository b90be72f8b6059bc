"""Letters as tokens: which of them spell "A", and how likely an endpoint finds them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from reward_server.rewards import Turns
from reward_server.rewards.models.endpoint import TOP, Endpoint, Likely, NoAnswer

LONGEST = 8
"""Characters of the vocabulary's own spelling of a token: the letter, a mark for white space, or `<0x41>`."""


class Letters(NamedTuple):
    """Log-probabilities of an answer that begins with A or with B, in nats."""

    a: float
    b: float


def letter_ids(tokenizer: Any, letter: str) -> list[int]:
    """Return the ids of all tokens whose text is `letter`, white space aside; ascending.

    Raises:
        ValueError: there is none.
    """
    byte = f"<0x{ord(letter):02X}>"
    likely = [
        index
        for token, index in tokenizer.get_vocab().items()
        if token == byte or (letter in token and len(token) <= LONGEST)
    ]
    special = set(tokenizer.all_special_ids)
    found = sorted(index for index in likely if index not in special and _spells(tokenizer.decode([index]), letter))
    if not found:
        raise ValueError(f"this model's vocabulary has no token for the letter {letter!r}")
    return found


def of_chat(endpoint: Endpoint, turns: Turns) -> Letters:
    """Ask once, with a chat.

    Raises:
        NoAnswer: the endpoint does not answer, or a letter is not among the tokens it tells (`letter_missing`).
    """
    likely = endpoint.likely_answers(turns)
    a, b = summed(likely, "A"), summed(likely, "B")
    if a is None or b is None:
        why = f"{'A' if a is None else 'B'} is not among the {TOP} likeliest tokens; see the setting `echo`"
        raise NoAnswer("letter_missing", why)
    return Letters(a, b)


def of_text(endpoint: Endpoint, text: str) -> Letters:
    """Ask once, with a text; a letter that is not among the tokens told is put behind the text and asked for.

    Raises:
        NoAnswer: the endpoint does not answer, or does not take the letter for a token (`letter_missing`).
    """
    likely = endpoint.likely_tokens(text)
    a, b = summed(likely, "A"), summed(likely, "B")
    return Letters(_forced(endpoint, text, "A") if a is None else a, _forced(endpoint, text, "B") if b is None else b)


def _forced(endpoint: Endpoint, text: str, letter: str) -> float:
    space = "" if text[-1:].isspace() else " "
    for token, log in endpoint.last_tokens(f"{text}{space}{letter}"):
        if _spells(token, letter):
            return log
    raise NoAnswer("letter_missing", f"the endpoint does not tell how likely the token {letter!r} is")


def summed(likely: Sequence[Likely], letter: str) -> float | None:
    """Return the log of the summed probabilities of the tokens that spell a letter; None when there are none."""
    logs = [log for token, log in likely if _spells(token, letter)]
    if not logs:
        return None
    most = max(logs)
    return most + math.log(math.fsum(math.exp(log - most) for log in logs))


def _spells(token: str, letter: str) -> bool:
    return token.strip() == letter
