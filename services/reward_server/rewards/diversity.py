"""How much each completion of a group adds to the group's diversity."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward
from reward_server.rewards.variety.words import tokens

Components = dict[str, float | None]
Columns = dict[str, Sequence[float | None]]
"""Components by name, each with one number per member."""
Value = Literal["novelty", "semantic", "self_bleu", "leave_one_out"]
SetMetric = Literal[
    "distinct_1", "distinct_2", "distinct_3", "distinct_4", "ead_1", "ead_2", "ead_3", "ead_4", "semantic"
]
"""Set metrics whose change without one member is known in linear time."""

ORDERS = (1, 2, 3, 4)
OWN_BLEU = "self_bleu_4.method1.own"
NEED_VECTORS = {"semantic", "semantic.own", "vendi", "leave_one_out.semantic"}
SHARE, COPY = Range(low=0, high=1, better="higher"), Range(low=0, high=1, better="lower")
DISTANCE = Range(low=0, high=2, better="higher")
CHANGE = Range(low=None, high=None, better="higher")
BOUNDS = {"novelty": SHARE, "self_bleu": SHARE, "semantic": DISTANCE}
WHY_NULL = {
    "compression": "every text is empty",
    "leave_one_out.semantic": "without the member only one text is left",
}
NO_NGRAMS = "no n-grams: the texts are too short"


class Diversity(Reward):
    """Each member's own contribution to the diversity of its group; the group's set metrics are components.

    A set metric given to every member alike is constant in the group and has no advantage at all, so the value is the
    member's own: `novelty` = share of its 4-grams that no sibling has (the whole of a shorter text), `semantic` = 1 -
    mean cosine to its siblings, `self_bleu` = 1 - its BLEU-4 against its siblings (0 for an empty text), and
    `leave_one_out` = what the group's `set_metric` loses without it. None of them knows whether a completion is any
    good: a short or strange one is different too, so combine them with a reward that does.
    """

    scope: ClassVar[Literal["item", "group"]] = "group"
    reads: ClassVar[tuple[str, ...]] = ("completion",)
    code_version: ClassVar[int] = 2
    components: ClassVar[dict[str, Range]] = {
        **{f"distinct_{n}": SHARE for n in ORDERS},
        **{f"ead_{n}": Range(low=0, high=None, better="higher") for n in ORDERS},
        "self_bleu_2.method1": COPY,
        "self_bleu_4.method1": COPY,
        "compression": Range(low=0, high=None, better="lower"),
        "semantic": DISTANCE,
        "vendi": Range(low=1, high=None, better="higher"),
        "novelty": SHARE,
        OWN_BLEU: COPY,
        "semantic.own": DISTANCE,
    }
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden(
            [
                {"completion": text}
                for text in ("a red car on a hill", "a red car on a hill", "two dogs sleep in trees")
            ],
            [None, None, None],
        ),
    )

    value: Value = "novelty"
    """Which contribution is the value."""
    set_metric: SetMetric = "distinct_2"
    """The set metric whose loss without the member is the component `leave_one_out.…`."""
    semantic: bool = False
    """Report the semantic components and `vendi` too, at one embedding per completion; implied where they are used."""
    vocabulary: int = Field(default=50_000, ge=2)
    """V of the expectation-adjusted `ead_n`; figures of different V do not compare."""
    tokenizer: Literal["words_and_marks.v1"] = "words_and_marks.v1"
    """What cuts texts into words: lower-cased runs of word characters, every other visible character by itself."""

    @property
    def range(self) -> Range:  # type: ignore[override]  # the bounds depend on which contribution is the value
        return BOUNDS.get(self.value, CHANGE)

    @property
    def source(self) -> str:
        """The component that the value is taken from."""
        named = {"semantic": "semantic.own", "self_bleu": OWN_BLEU, "leave_one_out": self.left_out}
        return named.get(self.value, self.value)

    @property
    def left_out(self) -> str:
        return f"leave_one_out.{self.set_metric}"

    @property
    def embeds(self) -> bool:  # type: ignore[override]  # what is counted in words needs no model
        return self.semantic or "semantic" in (self.value, self.set_metric)

    def served_components(self) -> dict[str, Range]:
        hidden = set() if self.embeds else NEED_VECTORS
        served = {name: bounds for name, bounds in self.components.items() if name not in hidden}
        return {**served, self.left_out: CHANGE}

    def texts(self, item: Item) -> list[str]:
        return [item.completion] if self.embeds else []

    def score(self, items: list[Item]) -> list[Score]:
        if len(items) < 2:
            return [Score.failed("invalid_input", "diversity is undefined for a group of one") for _ in items]
        shared, own = self._lexical([item.completion for item in items])
        if self.embeds:
            of_vectors, own_of_vectors = self._semantic(items)
            shared, own = shared | of_vectors, own | own_of_vectors
        rows = zip(*own.values(), strict=True)
        return [
            self._score(item, {**shared, **dict(zip(own, row, strict=True))})
            for item, row in zip(items, rows, strict=True)
        ]

    def _lexical(self, texts: list[str]) -> tuple[Components, Columns]:
        """Return (set metrics, each member's own) of what is counted in words and bytes."""
        from reward_server.rewards.variety import ngrams
        from reward_server.rewards.variety.compression import compression
        from reward_server.rewards.variety.self_bleu import against_others, self_bleu

        counts = ngrams.NgramCounts([tokens(text) for text in texts])
        bleu = {order: against_others(counts, order) for order in (2, 4)}
        shared: Components = {
            **{f"distinct_{n}": ngrams.distinct(counts, n) for n in ORDERS},
            **{f"ead_{n}": ngrams.ead(counts, n, self.vocabulary) for n in ORDERS},
            **{  # without a word there is nothing to be alike in
                f"self_bleu_{order}.method1": self_bleu(scores) if counts.of(1).total else None
                for order, scores in bleu.items()
            },
            "compression": compression(texts),
        }
        own: Columns = {"novelty": ngrams.novelty(counts), OWN_BLEU: bleu[4]}
        if self.set_metric != "semantic":
            name, _, n = self.set_metric.partition("_")
            ratio = ngrams.distinct_share if name == "distinct" else ngrams.expectation_adjusted(self.vocabulary)
            own[self.left_out] = ngrams.leave_one_out(counts, int(n), ratio)
        return shared, own

    def _semantic(self, items: list[Item]) -> tuple[Components, Columns]:
        """Return (set metrics, each member's own) of what is measured between embeddings."""
        from reward_server.rewards.variety import cosine

        vectors = cosine.stacked([item.vectors[0] for item in items])
        own: Columns = {"semantic.own": cosine.semantic_own(vectors)}
        if self.set_metric == "semantic":
            own[self.left_out] = cosine.semantic_leave_one_out(vectors)
        return {"semantic": cosine.semantic(vectors), "vendi": cosine.vendi(vectors)}, own

    def _score(self, item: Item, components: Components) -> Score:
        notes = {name: WHY_NULL.get(name, NO_NGRAMS) for name, value in components.items() if value is None}
        value = components[self.source]
        if value is None:
            return Score.failed("invalid_input", f"{self.source} is undefined: {notes[self.source]}")
        if self.value == "self_bleu":
            value = 1 - value if tokens(item.completion) else 0.0
        return Score(value=value, components=components, notes=notes)
