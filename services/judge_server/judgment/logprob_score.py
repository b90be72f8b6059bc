"""Verdicts as distributions: what the log-probabilities at a verdict's own tokens say of the alternatives to it."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from judge_server.judgment.json_objects import Value
from judge_server.llm import Reply, TokenLogprob

_OPENING = " \t\r\n\"'ĠĊ▁"
_LETTER = re.compile(r"(a|b|tie|ti|t)(?:[\s\"'},]|$)", re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,2}(?!\d)")


@dataclass(frozen=True)
class Odds:
    """How likely each verdict is; they sum to 1.

    `a` and `b` are the letters as the judge was shown them, or the contestants, by where the odds come from.
    """

    a: float
    b: float
    tie: float

    @property
    def p_a(self) -> float:
        """The probability that a is better; a tie counts half."""
        return self.a + self.tie / 2

    @property
    def swapped(self) -> "Odds":
        return Odds(self.b, self.a, self.tie)


@dataclass(frozen=True)
class Place:
    """The token in which a value begins.

    Attributes:
        token: its index.
        before: how many of its characters stand before the value.
    """

    token: int
    before: int


def place(reply: Reply, value: Value) -> Place | None:
    """Return the token in which a value of the reply's text begins; None: the tokens do not spell the text.

    Texts can differ from their tokens in front (reasoning, white space, bytes that are no characters), so that the
    value is looked for from the end: by all of the text that follows it.
    """
    rest = reply.text[_inner(value) :]
    at = "".join(token.token for token in reply.logprobs).rfind(rest)
    if at < 0:
        return None
    for index, token in enumerate(reply.logprobs):
        if at < len(token.token):
            return Place(index, at)
        at -= len(token.token)
    return None


def verdict_odds(reply: Reply, winner: Value) -> Odds | None:
    """Return the odds of A, B and tie, renormalised over those among the top tokens; None: there is nothing to read."""
    where = place(reply, winner)
    if where is None:
        return None
    mass = {"a": 0.0, "b": 0.0, "t": 0.0}
    for text, probability in _alternatives(reply.logprobs, where):
        if match := _LETTER.match(text.lstrip(_OPENING)):
            mass[match[1][0].lower()] += probability
    total = sum(mass.values())
    return Odds(mass["a"] / total, mass["b"] / total, mass["t"] / total) if total > 0 else None


def expected_score(reply: Reply, score: Value) -> float | None:
    """Return the expectation of an integer score over the top tokens, renormalised; None: it cannot be read.

    Where the judge wrote a token that ends in a lone "1", the token after it tells how much of its mass is 10:
    P("1")·P("0" | "1"). What would follow the alternatives that it did not write is not known: theirs counts as the
    number that stands there, so that there a 1 is a 1.
    """
    where = place(reply, score)
    if where is None or not _DIGITS.fullmatch(reply.text[_inner(score) : _end(score)]):
        return None
    chosen = reply.logprobs[where.token].token
    mass: dict[int, float] = {}
    for text, probability in _alternatives(reply.logprobs, where):
        written = text.lstrip(_OPENING)
        match = _DIGITS.match(written)
        if match is None or int(match[0]) > 10:
            continue
        ten = _followed_by_zero(reply.logprobs, where.token + 1) if written == "1" and chosen.endswith("1") else 0.0
        mass[int(match[0])] = mass.get(int(match[0]), 0.0) + probability * (1 - ten)
        mass[10] = mass.get(10, 0.0) + probability * ten
    total = sum(mass.values())
    return sum(value * probability for value, probability in mass.items()) / total if total > 0 else None


def _followed_by_zero(tokens: Sequence[TokenLogprob], index: int) -> float:
    """Return P("0") at a token, of its top alternatives."""
    if index >= len(tokens):
        return 0.0
    alternatives = list(_alternatives(tokens, Place(index, 0)))
    total = sum(probability for _, probability in alternatives)
    return sum(p for text, p in alternatives if text.startswith("0")) / total if total > 0 else 0.0


def _alternatives(tokens: Sequence[TokenLogprob], where: Place) -> Iterator[tuple[str, float]]:
    """Yield the tokens that could stand at a place, the one that does among them, without what comes before it."""
    chosen = tokens[where.token]
    before = chosen.token[: where.before]
    for text, logprob in {chosen.token: chosen.logprob, **dict(chosen.top)}.items():
        if not math.isnan(logprob):
            yield text.removeprefix(before), math.exp(min(logprob, 0.0))


def _inner(value: Value) -> int:
    """Return where a value's words begin, past the quotation mark and white space of a string."""
    if not isinstance(value.value, str):
        return value.start
    return value.start + 1 + len(value.value) - len(value.value.lstrip())


def _end(value: Value) -> int:
    return value.end - int(isinstance(value.value, str))
