"""A critic as anybody would write it: tokenise, pad, one forward pass. What the other servers serve, and the limit."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer


class PlainCritic:
    """Linear heads on a mean-pooled encoder, from a critic's directory."""

    def __init__(self, directory: str, threads: int, dtype: str = "float32") -> None:
        torch.set_num_threads(threads)
        folder = Path(directory)
        self.description = json.loads((folder / "heads.json").read_text())
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "encoder", truncation_side="left")
        self.encoder = AutoModel.from_pretrained(folder / "encoder", dtype=getattr(torch, dtype)).eval()
        weights = load_file(folder / "heads.safetensors")
        self.weight, self.bias = weights["outer.weight"], weights["outer.bias"]

    def tokenised(self, pairs: list[tuple[str, str]]) -> Any:
        """Return the padded batch of (conversation, reply) pairs."""
        texts = [list(column) for column in zip(*pairs, strict=True)]
        longest = self.description["max_tokens"]
        return self.tokenizer(*texts, padding=True, truncation="only_first", max_length=longest, return_tensors="pt")

    def forward(self, batch: Any) -> list[list[float]]:
        """Return the scores of every head in [0, 1], per pair."""
        with torch.inference_mode():
            states = self.encoder(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1)
            pooled = (states * mask).sum(1) / mask.sum(1)
            scores: list[list[float]] = torch.sigmoid(pooled @ self.weight.T + self.bias).tolist()
        return scores

    def answers(self, items: list[dict[str, str]]) -> list[dict[str, Any]]:
        """Return what a server says of each item: the value and the heads' scores."""
        scores = self.forward(self.tokenised([(item["prompt"], item["completion"]) for item in items]))
        heads = self.description["heads"]
        return [
            {
                "value": sum(head["weight"] * score for head, score in zip(heads, own, strict=True)),
                "components": {head["name"]: score for head, score in zip(heads, own, strict=True)},
            }
            for own in scores
        ]
