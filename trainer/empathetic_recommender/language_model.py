"""A causal language model that answers chats and says how likely texts are: a directory or hub id, with its adapter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from empathetic_recommender.recommender_error import RecommenderError
from reward_server.rewards.models.source import device, loading

Turns = Sequence[dict[str, str]]
AT_A_TIME = 32


class LanguageModel:
    def __init__(self, model: str, hub_revision: str | None = None, seed: int = 0) -> None:
        """Load it; a directory with adapter_config.json is an adapter, loaded over the model it names.

        Args:
            hub_revision: the commit of a hub id, the adapter's base included, unless its own config names one.

        Raises:
            RecommenderError: it cannot be loaded, is a hub id without a commit, or has no chat template.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            base, its_revision, adapter = _adapted(model, hub_revision)
            own, pinned = loading(model, hub_revision)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(own, padding_side="left", **pinned)
            auto: Any = AutoModelForCausalLM
            found, pinned = loading(base, its_revision)
            weights = auto.from_pretrained(found, dtype="auto", use_safetensors=True, **pinned)
            self._model: Any = weights.eval().to(device())
            if adapter:
                from peft import PeftModel

                self._model = PeftModel.from_pretrained(self._model, adapter).merge_and_unload()
        except (OSError, ValueError, KeyError) as error:
            raise RecommenderError(f"the model {model!r} cannot be loaded: {error}") from None
        if self._tokenizer.chat_template is None:
            raise RecommenderError(f"the tokenizer of {model!r} has no chat template")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        torch.manual_seed(seed)
        self.name = model

    def answers(self, chats: Sequence[Turns], most_tokens: int, temperature: float = 1.0) -> list[str]:
        """Return one sampled answer a chat; temperature 0 takes the likeliest token each time."""
        found: list[str] = []
        for start in range(0, len(chats), AT_A_TIME):
            found += self._answered(chats[start : start + AT_A_TIME], most_tokens, temperature)
        return found

    def log_likelihoods(self, chat: Turns, texts: Sequence[str]) -> list[float]:
        """Return Σ log p of each text's tokens as the beginning of the answer to one chat, divided by their number."""
        import torch

        opening = self._rendered(chat)
        before = len(self._ids(opening))
        rows = [self._ids(opening + text) for text in texts]
        longest, pad = max(map(len, rows)), self._tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=self._model.device)
        kept = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=ids.device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=kept).logits[:, before - 1 : -1].float()
        told = logits.log_softmax(-1).gather(-1, ids[:, before:, None])[..., 0] * kept[:, before:]
        mean: list[float] = (told.sum(1) / kept[:, before:].sum(1)).tolist()
        return mean

    def _answered(self, chats: Sequence[Turns], most_tokens: int, temperature: float) -> list[str]:
        import torch

        batch = self._tokenizer(
            [self._rendered(chat) for chat in chats], return_tensors="pt", padding=True, add_special_tokens=False
        )
        inputs = {name: batch[name].to(self._model.device) for name in ("input_ids", "attention_mask")}
        sampling: dict[str, Any] = {"do_sample": True, "temperature": temperature, "top_k": 0}
        with torch.inference_mode():
            found = self._model.generate(
                **inputs,
                **(sampling if temperature else {"do_sample": False}),
                max_new_tokens=most_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        written = found[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self._tokenizer.batch_decode(written, skip_special_tokens=True)]

    def _rendered(self, chat: Turns) -> str:
        text: str = self._tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
        return text

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _adapted(model: str, hub_revision: str | None) -> tuple[str, str | None, str | None]:
    """Return the model, its commit, and the adapter's directory if that is what `model` is."""
    import json

    config = Path(model) / "adapter_config.json"
    if not config.exists():
        return model, hub_revision, None
    said = json.loads(config.read_text(encoding="utf-8"))
    return str(said["base_model_name_or_path"]), said.get("revision") or hub_revision, model
