"""A policy that scores rows: where it lies, how it is asked, and what it writes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from grpo_trainer.config import run_config
from grpo_trainer.model import policy
from grpo_trainer.model.model_cache import CacheError
from grpo_trainer.sql_cot.prompt import filled, template
from grpo_trainer.sql_cot.rows import Row

LONGEST = 256
"""Tokens of a completion, where neither a run nor the command line says."""


@dataclass(frozen=True)
class Asking:
    """How a policy is asked.

    Attributes:
        policy: its model, and whether prompts are chats or texts to continue.
        adapter: a LoRA adapter over it.
        prompt: the template's name or path.
        max_tokens: of a completion.
    """

    policy: run_config.Policy
    adapter: Path | None = None
    prompt: str = "instruct"
    max_tokens: int = LONGEST

    def record(self) -> dict[str, Any]:
        shown = {"policy": self.policy.model_dump(), "adapter": str(self.adapter) if self.adapter else None}
        return {**asdict(replace(self, policy=run_config.Policy(model="-"))), **shown}


def asking(where: str, **said: Any) -> Asking:
    """Return how the policy at `where` is asked: the directory of a run, of an adapter or of a model, or a hub id.

    A run's directory says itself which model, template, form and length it was trained with; what is `said`
    (prompt, form, end_of_turn, max_tokens; None where not) comes before that.

    Raises:
        ValueError: the run has no model, or none that can be read.
    """
    folder = Path(where).expanduser()
    if (folder / "manifest.json").exists():
        found = _of_run(folder)
    elif (folder / "adapter_config.json").exists():
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
        found = Asking(run_config.Policy(model=base), folder)
    else:
        found = Asking(run_config.Policy(model=where))
    own = {"prompt": said.get("form"), "end_of_turn": said.get("end_of_turn")}
    changes = {name: value for name, value in own.items() if value is not None}
    rest = {name: said[name] for name in ("prompt", "max_tokens") if said.get(name) is not None}
    return replace(found, policy=found.policy.model_copy(update=changes), **rest)


def _of_run(folder: Path) -> Asking:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    config = manifest["config"]
    settings = run_config.Policy.model_validate(config["policy"])
    prompt = config["dataset"].get("prompt", "few_shot")
    longest = config["grpo"].get("max_completion_length", LONGEST)
    if (folder / "adapter").is_dir():
        return Asking(settings, folder / "adapter", prompt, longest)
    if (folder / "model").is_dir():
        return Asking(settings.model_copy(update={"model": str(folder / "model")}), None, prompt, longest)
    raise ValueError(f"{folder} is a run that has not saved its model yet: neither model nor adapter is in it")


class ScoringPolicy:
    """The loaded policy.

    Attributes:
        template: the text of its prompts, with places for a row.
        fingerprint: of its weights, the adapter's too.

    Raises:
        ValueError: it cannot be loaded, or there is no such prompt.
    """

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.template = template(asking.prompt)
        try:
            self._tokenizer, model = _loaded(asking)
        except (policy.PolicyError, CacheError) as error:
            raise ValueError(str(error)) from error
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self.fingerprint = policy.fingerprint(self._model)
        ends: Any = self._model.generation_config.eos_token_id
        own = ends if isinstance(ends, list) else [ends]
        self._ends = list(dict.fromkeys(end for end in (*own, self._tokenizer.eos_token_id) if end is not None))

    @torch.inference_mode()
    def completions(self, rows: Sequence[Row], samples: int, temperature: float, seed: int) -> list[list[str]]:
        """Return `samples` completions a row; temperature 0 is greedy. What is drawn depends on all rows given."""
        torch.manual_seed(seed)
        prompts = [self._prompt(row) for row in rows]
        width = max(map(len, prompts))
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else self._ends[0]
        ids = [[pad] * (width - len(tokens)) + tokens for tokens in prompts]
        mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in prompts]
        drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
        # A config of our own: else the model's would bring along penalties that training did not have.
        self._model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=self.asking.max_tokens,
            num_return_sequences=samples,
            eos_token_id=self._ends,
            pad_token_id=pad,
            **drawn,
        )
        out = self._model.generate(
            input_ids=torch.tensor(ids, device=self._model.device),
            attention_mask=torch.tensor(mask, device=self._model.device),
        )
        texts = [self._text(tokens) for tokens in out[:, width:].tolist()]
        return [texts[start : start + samples] for start in range(0, len(texts), samples)]

    def _prompt(self, row: Row) -> list[int]:
        text = filled(self.template, row)
        chat = self.asking.policy.prompt == "chat"
        if chat:
            turns = [{"role": "user", "content": text}]
            text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        tokens: list[int] = self._tokenizer(text, add_special_tokens=not chat)["input_ids"]
        return tokens

    def _text(self, tokens: list[int]) -> str:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), len(tokens))
        return str(self._tokenizer.decode(tokens[:end], skip_special_tokens=True))


def _loaded(asking: Asking) -> tuple[Any, Any]:
    """Return (tokenizer, model), the adapter over it where there is one."""
    source = policy.located(asking.policy.model)
    tokenizer = policy.load_tokenizer(asking.policy, source)
    model = policy.load_model(asking.policy, source, tokenizer, policy.dtype_of(asking.policy.dtype))
    if asking.adapter is None:
        return tokenizer, model
    from peft import PeftModel

    return tokenizer, PeftModel.from_pretrained(model, str(asking.adapter))
