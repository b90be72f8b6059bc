"""Causal language models in this process, each loaded once and shared by every kind that names it."""

import re
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reward_server.rewards import Turns
from reward_server.rewards.models.layout import OPTIONS, PLAIN, PLAIN_TEMPLATE, with_or_without_system
from reward_server.rewards.models.next_token import Read, read_next
from reward_server.rewards.models.prefix_tree import Tokens
from reward_server.rewards.models.source import Dtype, device, dtype, loading, revision

if TYPE_CHECKING:
    import torch

_loaded: dict[tuple[str, ...], "LanguageModel"] = {}
_loading = threading.Lock()


def language_model(model: str, hub_revision: str | None, precision: Dtype) -> "LanguageModel":
    """Return a model, loaded when it is first asked for; the same one for the same weights, dtype and device.

    Args:
        model: a directory, a hub id, or package:NAME, as in `source`; a directory may hold one GGUF file instead.
        hub_revision: the commit of a hub id.
        precision: what to compute in.

    Raises:
        FileNotFoundError, ValueError: as `source`.
        OSError, ValueError: there is no model that transformers can load.
    """
    with _loading:
        chosen = dtype(precision)
        key = (model, revision(model, hub_revision), str(chosen), device())
        if key not in _loaded:
            _loaded[key] = _load(model, hub_revision, chosen)
        return _loaded[key]


def _load(model: str, hub_revision: str | None, chosen: "torch.dtype") -> "LanguageModel":
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found, options = loading(model, hub_revision)
    options |= _gguf(found) if isinstance(found, Path) else {}
    safe = {} if "gguf_file" in options else {"use_safetensors": True}
    weights: Any = AutoModelForCausalLM.from_pretrained(found, dtype=chosen, **safe, **options)
    return LanguageModel(weights.eval().to(device()), AutoTokenizer.from_pretrained(found, **options))


def _gguf(directory: Path) -> dict[str, str]:
    if not directory.is_dir():
        raise FileNotFoundError(f"there is no model directory {directory}")
    found = sorted(directory.glob("*.gguf"))
    if (directory / "config.json").exists() or not found:
        return {}
    if len(found) > 1:
        raise ValueError(f"{directory} holds {len(found)} GGUF files instead of one: {[file.name for file in found]}")
    return {"gguf_file": found[0].name}


class LanguageModel:
    """A model and its tokenizer. One call of the model at a time; tokenising goes on beside it."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.running = threading.Lock()
        self._tokenizing = threading.Lock()  # a tokenizer refuses to be used by two threads at once
        self._controls: dict[str, re.Pattern[str]] = {}

    @cached_property
    def context(self) -> int:
        """Return how many tokens the model can read and write together."""
        positions = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(positions or self.tokenizer.model_max_length)

    def template(self, setting: str | None) -> str:
        """Return the text of a chat template: "plain", a template's own text, or None for the model's.

        Raises:
            ValueError: the model has none.
        """
        if setting is None and self.tokenizer.chat_template is None:
            raise ValueError(f'the model has no chat template; set chat_template = "{PLAIN}" for the one that ships')
        found: str = PLAIN_TEMPLATE if setting == PLAIN else self.tokenizer.get_chat_template(setting)
        return found

    def encode(self, turns: Turns, setting: str | None) -> Tokens:
        """Return the token ids of a chat up to where the answer begins, with one BOS if the model takes one.

        What a turn says stays what it says: the text of a control token in it does not become that token.
        """
        template = self.template(setting)
        options = {"chat_template": template, "tokenize": False, **OPTIONS}
        with self._tokenizing:
            control = self._control_tokens(template)
            harmless = [turn | {"content": control.sub(" ", turn["content"])} for turn in turns]
            text = with_or_without_system(lambda some: self.tokenizer.apply_chat_template(some, **options), harmless)
            ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            # A template writes its own BOS, where the model was trained with one; the plain one knows of none.
            return (*self._bos, *ids) if setting == PLAIN else tuple(ids)

    def read_next(self, sequences: Sequence[Tokens], read: Read, batch_tokens: int) -> "torch.Tensor":
        """Return what `read` keeps of the next token's logits behind each sequence, (len(sequences), k)."""
        with self.running:
            return read_next(self.model, sequences, read, batch_tokens)

    def _control_tokens(self, template: str) -> re.Pattern[str]:
        """Return what matches the special tokens, and the added ones that a template writes."""
        if template not in self._controls:
            added = self.tokenizer.added_tokens_decoder.values()
            written = {token.content for token in added if token.special or token.content in template}
            visible = [token for token in {*written, *self.tokenizer.all_special_tokens} if token.strip()]
            longest_first = sorted(visible, key=len, reverse=True)
            self._controls[template] = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        return self._controls[template]

    @cached_property
    def _bos(self) -> Tokens:
        """Return the token that the tokenizer itself puts before a text, if it does."""
        bos = self.tokenizer.bos_token_id
        return (bos,) if bos is not None and self.tokenizer("a")["input_ids"][:1] == [bos] else ()
