"""Sentence BLEU of the completion against its references."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU, BLEUScore

CUT = "cut to its first {} characters"
NO_NGRAMS = "the completion has no n-grams of this order"


class Bleu(Reward):
    """Sentence BLEU (Papineni et al. 2002) of the completion against its `reference`, a text or a list of texts.

    It is sacrebleu's with effective order, as its sentence_bleu, divided by 100. Its signature is in the notes of
    every score, and its version is part of the reward's.
    """

    reads: ClassVar[tuple[str, ...]] = ("completion", "reference")
    components: ClassVar[dict[str, Range]] = {
        **{f"precision_{n}": Range(low=0, high=1, better="higher") for n in range(1, 5)},
        "brevity_penalty": Range(low=0, high=1, better="higher"),
        "length_ratio": Range(low=0),
    }
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden(
            [
                {"completion": "the cat sat on the mat all day", "reference": "the cat sat on the mat all day"},
                {"completion": "12 345 6789", "reference": ["the cat sat on the mat", "a dog slept"]},
            ],
            [1.0, 0.0],
        ),
    )

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """sacrebleu's tokeniser: 13a as in WMT, intl for other scripts, zh for Chinese, char, none to split at spaces."""
    smooth_method: Literal["exp", "floor", "add-k", "none"] = "exp"
    """What becomes of an order without hits (Chen & Cherry 2014)."""
    smooth_value: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """The number that floor and add-k take; None for sacrebleu's."""
    max_order: int = Field(default=4, ge=1, le=4)
    """The longest n-grams counted."""
    lowercase: bool = False
    """Compare without case."""
    max_chars: int = Field(default=20_000, ge=1)
    """Characters of a completion that are read; one of a million would take seconds. Longer references are refused."""

    def revision(self) -> str:
        return version("sacrebleu")

    def served_components(self) -> dict[str, Range]:
        longer = {f"precision_{n}" for n in range(self.max_order + 1, 5)}
        return {name: bounds for name, bounds in self.components.items() if name not in longer}

    def score(self, items: list[Item]) -> list[Score]:
        from sacrebleu.metrics.bleu import BLEU

        metric = BLEU(
            lowercase=self.lowercase,
            tokenize=self.tokenize,
            smooth_method=self.smooth_method,
            smooth_value=self.smooth_value,
            max_ngram_order=self.max_order,
            effective_order=True,
        )
        try:
            return [self._graded(metric, item) for item in items]
        finally:
            forget_lines(metric)

    def _graded(self, metric: "BLEU", item: Item) -> Score:
        try:
            texts = references(item, self.max_chars)
        except ValueError as error:
            return Score.failed("invalid_input", f"bleu {error}")
        found = metric.sentence_score(item.completion[: self.max_chars], texts)
        components, notes = self._parts(found)
        notes["signature"] = str(metric.get_signature())
        if len(item.completion) > self.max_chars:
            notes["completion"] = CUT.format(self.max_chars)
        return Score(value=min(1.0, found.score / 100), components=components, notes=notes)

    def _parts(self, found: "BLEUScore") -> tuple[dict[str, float | None], dict[str, str]]:
        orders = zip(found.precisions, found.totals, strict=True)
        components: dict[str, float | None] = {
            f"precision_{n}": precision / 100 if total else None for n, (precision, total) in enumerate(orders, 1)
        }
        notes = {name: NO_NGRAMS for name, value in components.items() if value is None}
        return components | {"brevity_penalty": found.bp, "length_ratio": found.ratio}, notes


def references(item: Item, max_chars: int) -> Sequence[str]:
    """Return an item's references, at least one, with at most `max_chars` characters together.

    Raises:
        ValueError: it has none, or longer ones.
    """
    found = [item.reference] if isinstance(item.reference, str) else item.reference
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise ValueError("needs a text, or a list of texts, in the item's `reference`")
    found = [one for one in found if one.strip()]  # the closest length of nothing would undo the brevity penalty
    if not found:
        raise ValueError("needs a `reference` that is not empty")
    if (length := sum(map(len, found))) > max_chars:
        raise ValueError(f"reads {max_chars} characters of references; these have {length}. Raise `max_chars`")
    return found


def forget_lines(metric: "BLEU") -> None:
    """Empty sacrebleu's caches: each tokeniser keeps 65,536 lines, which are gigabytes of completions in a server."""
    for tokenizer in (metric.tokenizer, getattr(metric.tokenizer, "_post_tokenizer", None)):
        clear = getattr(type(tokenizer).__call__, "cache_clear", None)
        if clear is not None:
            clear()
