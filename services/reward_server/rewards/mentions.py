"""The share of given words that the completion mentions."""

import re
import unicodedata
from typing import Any, ClassVar

from pydantic import Field, field_validator

from guerdon.messages import Range
from reward_server.rewards import Golden, Item, Reward


class Mentions(Reward):
    """The share of the words in `reference` that the completion mentions, in [0, 1]: constrained generation.

    As the coverage of CommonGen (Lin et al. 2020), without its lemmas. `reference` is a list of words, or a text with
    commas between them; a phrase counts as one. Case does not count, nor whether é is one character or two (both sides
    are put into Unicode's form NFC), and a word inside another is no mention.
    """

    reads: ClassVar[tuple[str, ...]] = ("completion", "reference")
    range: ClassVar[Range] = Range(low=0, high=1, better="higher")
    code_version: ClassVar[int] = 2
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden([{"completion": "The dog chased a ball.", "reference": "dog, park, ball, do"}], [0.5]),
    )

    required_format: str | None = Field(default=None, min_length=1)
    """A regular expression that the whole of a completion has to match, or nothing of it counts; `.` matches line ends
    too. A list of the words is easy to learn and no sentence."""

    @field_validator("required_format")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value

    def score(self, items: list[Item]) -> list[float]:
        return [self.of(item.completion, asked(item.reference)) for item in items]

    def of(self, completion: str, words: list[str]) -> float:
        completion = composed(completion)
        if self.required_format is not None and not re.fullmatch(self.required_format, completion, re.DOTALL):
            return 0.0
        return sum(mentioned(word, completion) for word in words) / len(words)


def asked(reference: Any) -> list[str]:
    """Return the words that are asked for.

    Raises:
        ValueError: there are none, or something else.
    """
    given = reference.split(",") if isinstance(reference, str) else reference
    words = [word.strip() for word in given if isinstance(word, str)] if isinstance(given, list) else []
    if not words or not all(words) or len(words) != len(given):
        raise ValueError("mentions needs the words in `reference`: a list of texts, or a text such as 'dog, park'")
    return words


def mentioned(word: str, text: str) -> bool:
    word, text = composed(word), composed(text)
    # A word inside another is no mention; a mark such as "?" may touch its neighbours.
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", word) else ""
    return re.search(f"{before}{re.escape(word)}{after}", text, re.IGNORECASE) is not None


def composed(text: str) -> str:
    """Return a text in Unicode's form NFC: a letter and the accent behind it are one character."""
    return unicodedata.normalize("NFC", text)
