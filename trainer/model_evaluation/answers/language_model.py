"""A model on this machine that answers prompts: loaded once, asked in batches, forgotten before the next one."""

import gc
import tempfile
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import torch
import transformers
from jinja2 import TemplateError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
)

from model_evaluation.answers import memory_need
from model_evaluation.answers.checkpoint import PACKAGE, Checkpoint, converted
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.drawing import NucleusDrawing, StopTexts
from model_evaluation.answers.sampling import Sampling, cut
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt
from reward_server.rewards.models.source import device, dtype

PLAIN = (files("reward_server.rewards.models") / "chat_templates/plain.jinja").read_text(encoding="utf-8")
PLAIN_STOP = "\nUser:"
"""Where the plain template's next turn would begin: a model that never saw a chat goes on to write both sides."""


class LanguageModel:
    """The weights and the tokenizer of one contestant. A context manager: leaving it gives the memory back."""

    def __init__(self, name: str, checkpoint: Checkpoint) -> None:
        """Load it.

        Raises:
            EvaluationError: it does not fit into memory, or cannot be loaded.
        """
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.device, self.dtype = device(), dtype("auto")
        try:
            with tempfile.TemporaryDirectory(prefix="guerdon-gguf-") as scratch, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                source, values = _source(checkpoint.weights, Path(scratch))
                memory_need.require(name, values, self.dtype, self.device)
                self.tokenizer: Any = AutoTokenizer.from_pretrained(**source, trust_remote_code=False)
                model: Any = AutoModelForCausalLM.from_pretrained(
                    **source, dtype=self.dtype, trust_remote_code=False, use_safetensors="gguf_file" not in source
                )
        except (OSError, ValueError, KeyError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise EvaluationError(f"{name} cannot be loaded: {first}") from error
        self.model: Any = _adapted(model, checkpoint.adapter).to(self.device).eval()
        self._ends = _ends(self.model, self.tokenizer)
        self.has_template = self.tokenizer.chat_template is not None
        if not self.has_template:
            self.tokenizer.chat_template = PLAIN

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Answer a batch of prompts; one whose template refuses it, or that is too long, fails alone.

        Every prompt is drawn with random numbers that depend on the seed and on the prompt alone, neither on the model
        nor on the batch; what it is batched with changes only how its logits are rounded.
        """
        encoded: list[tuple[Prompt, list[int]]] = []
        failed: dict[str, Completion] = {}
        longest = getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
        for prompt in prompts:
            try:
                tokens = self._tokens(prompt, sampling)
            except TemplateError as error:
                failed[prompt.id] = Completion.failed(prompt.id, "invalid_input", f"the chat template: {error}")
                continue
            if len(tokens) >= longest:
                reason = f"the prompt has {len(tokens)} tokens; the model reads {longest}"
                failed[prompt.id] = Completion.failed(prompt.id, "invalid_input", reason)
                continue
            encoded.append((prompt, tokens))
        written = {one.prompt_id: one for one in self._written(encoded, sampling)} if encoded else {}
        return [failed.get(prompt.id) or written[prompt.id] for prompt in prompts]

    def _tokens(self, prompt: Prompt, sampling: Sampling) -> list[int]:
        if sampling.prompt_format == "plain":
            tokens: list[int] = self.tokenizer(prompt.shown)["input_ids"]
            return tokens
        text = self.tokenizer.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
        # A template of the model's own writes its special tokens itself.
        tokens = self.tokenizer(text, add_special_tokens=not self.has_template)["input_ids"]
        return tokens

    def _written(self, encoded: Sequence[tuple[Prompt, list[int]]], sampling: Sampling) -> list[Completion]:
        width = max(len(tokens) for _, tokens in encoded)
        # Padded on the left, so that every row goes on at the same place.
        ids = [[0] * (width - len(tokens)) + tokens for _, tokens in encoded]
        mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for _, tokens in encoded]
        stops = self._stops(sampling)
        seeds = [f"{sampling.seed}/{prompt.id}" for prompt, _ in encoded]
        drawing = [NucleusDrawing(sampling.temperature, sampling.top_p, seeds)] if sampling.temperature > 0 else []
        # A config of our own in the place of the model's: else its penalties and top-k would come along unseen.
        self.model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=sampling.max_tokens,
            do_sample=False,
            eos_token_id=self._ends or None,
            pad_token_id=(self._ends or [0])[0],
        )
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = self.model.generate(
                input_ids=torch.tensor(ids, device=self.device),
                attention_mask=torch.tensor(mask, device=self.device),
                logits_processor=LogitsProcessorList(drawing),
                stopping_criteria=StoppingCriteriaList([StopTexts(stops, self.tokenizer, width)] if stops else []),
            )
        rows: list[list[int]] = out[:, width:].tolist()
        return [self._completion(prompt, row, sampling, stops) for (prompt, _), row in zip(encoded, rows, strict=True)]

    def _completion(self, prompt: Prompt, row: list[int], sampling: Sampling, stops: tuple[str, ...]) -> Completion:
        end = next((place for place, token in enumerate(row) if token in self._ends), None)
        kept = row[:end]
        text, stopped = cut(str(self.tokenizer.decode(kept, skip_special_tokens=True)), stops)
        ended = end is not None or stopped or len(kept) < sampling.max_tokens
        return Completion(prompt.id, text.strip(), finish="stop" if ended else "length", tokens=len(kept))

    def _stops(self, sampling: Sampling) -> tuple[str, ...]:
        plain_chat = sampling.prompt_format == "chat" and not self.has_template
        return (*sampling.stop, *([PLAIN_STOP] if plain_chat else []))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.model = self.tokenizer = None
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()


def _source(weights: str, scratch: Path) -> tuple[dict[str, Any], int]:
    """Return what transformers is asked for, and how many numbers the weights are."""
    if known := converted(weights):
        return {"pretrained_model_name_or_path": str(known)}, memory_need.weights(known)
    if weights.startswith(PACKAGE):
        module = import_module(weights.removeprefix(PACKAGE))
        gguf = Path(module.assemble(scratch / "model.gguf"))
    elif weights.endswith(".gguf"):
        gguf = Path(weights)
    else:
        return {"pretrained_model_name_or_path": weights}, memory_need.weights(Path(weights))
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    return source, memory_need.gguf_weights(gguf)


def _adapted(model: Any, adapter: Path | None) -> Any:
    if adapter is None:
        return model
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers' own, about what peft calls
        return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()


def _ends(model: Any, tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    ends = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id]
    return [end for end in dict.fromkeys(ends) if end is not None]
