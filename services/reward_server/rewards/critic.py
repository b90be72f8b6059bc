"""A reply's several qualities, predicted by trained heads on one shared encoder."""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward
from reward_server.rewards.bleu import forget_lines, references
from reward_server.rewards.models.backbone import Backbone
from reward_server.rewards.models.checkpoint import encoder, encoding, tokenizer
from reward_server.rewards.models.conversation import text_pair
from reward_server.rewards.models.critic_heads import Heads
from reward_server.rewards.models.source import Dtype, revision, source
from reward_server.rewards.models.tokenizer import Encoded

TRUE_BLEU = "bleu.reference"
TRUNCATED = "truncated"
BLEU_CHARS = 20_000
"""Characters of a text that BLEU reads; one of a million would keep the model waiting for seconds."""


class Critic(Reward):
    """Scores of a reply in its conversation by several heads on one encoder; the value is their weighted sum.

    Conversation and reply are read as a text pair. The heads, with the range and weight of each, are in heads.json
    beside their weights; every head is a component. The weights are added as they are declared, not normalised.
    `truncated` is how many tokens did not fit: the conversation's oldest, then the reply's last. With a `reference`
    (a text, or several) `bleu.reference` is the reply's sentence BLEU against it, in [0, 1] (sacrebleu: 13a tokens,
    exponential smoothing, effective order).
    """

    runs: ClassVar[Literal["inline", "worker"]] = "worker"
    reads: ClassVar[tuple[str, ...]] = ("prompt", "completion", "reference")
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden(
            [
                {"prompt": "I loved Alien. What should I watch?", "completion": "Try The Thing: as tense, and colder."},
                {"prompt": "", "completion": ""},
            ],
            [None, None],
        ),
    )

    model: str
    """The critic's directory, with heads.json and heads.safetensors; package:NAME for a package that carries one."""
    dtype: Dtype = "auto"
    """What the encoder computes in; auto is bfloat16 where the hardware computes in it, else float32."""
    max_tokens: int | None = Field(default=None, ge=8)
    """Longest text pair; None: what the critic was trained with."""

    _backbone: Any = PrivateAttr(default=None)
    _network: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)

    @cached_property
    def directory(self) -> Path:
        """Return where the heads are.

        Raises:
            FileNotFoundError: there is no such directory.
        """
        found = source(self.model, hub_revision="")
        if isinstance(found, str):
            raise FileNotFoundError(f"there is no critic's directory {self.model!r}")
        return found

    @cached_property
    def heads(self) -> Heads:
        return Heads.read(self.directory)

    @property
    def range(self) -> Range:  # type: ignore[override]
        """The range of the value, which follows from the heads."""
        return self.heads.range

    def served_components(self) -> dict[str, Range]:
        return self.heads.ranges | {
            TRUE_BLEU: Range(low=0, high=1, better="higher"),
            TRUNCATED: Range(low=0),
        }

    def revision(self) -> str:
        below = revision(*self._encoder)  # first: it says what is wrong with the directory
        return f"{revision(self.model, None)}.{below}.{version('sacrebleu')}"

    @property
    def _encoder(self) -> tuple[str, str | None]:
        return self.heads.encoder_source(self.directory), self.heads.hub_revision

    def load(self) -> None:
        model = encoder(*self._encoder, self.dtype)
        words = tokenizer(*self._encoder)
        self._tokenizer = encoding(model, words, self.max_tokens or self.heads.max_tokens, literal=True)
        self._network = self.heads.load(self.directory).to(model.device)
        self._backbone = Backbone(model, self.heads.pooling)

    def pads(self) -> bool:
        return not self._backbone.packed

    def prepare(self, items: list[Item]) -> None:
        sequences = self._tokenizer.pairs([text_pair(item) for item in items])
        for item, encoded in zip(items, sequences, strict=True):
            item.encoded = encoded

    def tokens(self, item: Item) -> int:
        return len(self._encoded([item])[0].ids)

    def score(self, items: list[Item]) -> list[Score]:
        import torch

        sequences = self._encoded(items)
        with torch.inference_mode():
            scores = self._network(self._backbone.pooled(sequences)).tolist()
        return [self._score(*one) for one in zip(items, sequences, scores, strict=True)]

    def _encoded(self, items: list[Item]) -> list[Encoded]:
        if missing := [item for item in items if item.encoded is None]:
            self.prepare(missing)
        return [item.encoded for item in items]

    def _score(self, item: Item, encoded: Encoded, scores: list[float]) -> Score:
        components: dict[str, float | None] = dict(zip(self.heads.names, scores, strict=True))
        components[TRUNCATED] = encoded.left_out
        notes = {}
        if encoded.left_out:
            notes[TRUNCATED] = f"{encoded.left_out} tokens did not fit: the conversation's first or the reply's last"
        if item.reference is not None:
            try:
                components[TRUE_BLEU] = self._true_bleu(item)
            except ValueError as error:
                components[TRUE_BLEU], notes[TRUE_BLEU] = None, str(error)
        return Score(value=self.heads.value(scores), components=components, notes=notes)

    def _true_bleu(self, item: Item) -> float:
        texts = references(item, BLEU_CHARS)
        try:
            score: float = self._bleu.sentence_score(item.completion[:BLEU_CHARS], texts).score / 100
        finally:
            forget_lines(self._bleu)
        return min(1.0, score)  # a perfect match is 100.00000000000004

    @cached_property
    def _bleu(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(effective_order=True)
