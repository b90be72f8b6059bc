"""A language model in this process as a labeler, in 4 bits if asked.

What it writes is read as one JSON object with a number from 0 to 10 for every attribute; anything else is a failure,
never a label. Loading in 4 bits needs bitsandbytes and a GPU and was not tried here; nor was any instruct model, for
want of a hub: what was tried is a small model of random weights, made in a test, whose words are all failures.
"""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from critic_trainer.critic_error import CriticError
from critic_trainer.labeling.attributes import ATTRIBUTES
from critic_trainer.reply import Reply
from long_work import model_digest
from reward_server.rewards.models.source import device, loading

PROMPT = (files("critic_trainer.labeling") / "prompts" / "grade.txt").read_text(encoding="utf-8")
OBJECT = re.compile(r"\{[^{}]*\}")
MOST_TOKENS = 120
BEST = 10.0


class LocalLabeler:
    chunk = 4

    def __init__(self, model: str, four_bit: bool) -> None:
        """Load a directory, or a hub id with its commit: ID@COMMIT.

        Raises:
            CriticError: it cannot be loaded, or 4 bits are wanted and bitsandbytes is not installed.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        name, commit = _pinned(model)
        try:
            found, pinned = loading(name, commit)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(found, padding_side="left", **pinned)
            auto: Any = AutoModelForCausalLM
            self._model: Any = auto.from_pretrained(found, use_safetensors=True, **pinned, **_options(four_bit)).eval()
        except (OSError, ValueError) as error:
            raise CriticError(f"the model {model!r} cannot be loaded (a hub id is ID@COMMIT): {error}") from None
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self.name = f"local-{re.sub(r'[^A-Za-z0-9.-]+', '-', model).strip('-')}"
        self._model_id, self._weights, self._four_bit = model, model_digest.of(name, commit), four_bit

    @property
    def identity(self) -> list[Any]:
        return [self._model_id, self._weights, self._four_bit, PROMPT, ATTRIBUTES]

    def label(self, replies: Sequence[Reply]) -> list[dict[str, Any]]:
        import torch

        batch = self._tokenizer(
            [self._asked(reply) for reply in replies],
            return_tensors="pt",
            padding=True,
            add_special_tokens=self._tokenizer.chat_template is None,  # a chat template writes its own
        )
        batch = {name: batch[name].to(self._model.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            found = self._model.generate(
                **batch, do_sample=False, max_new_tokens=MOST_TOKENS, pad_token_id=self._tokenizer.pad_token_id
            )
        texts = self._tokenizer.batch_decode(found[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return [read(text) for text in texts]

    def _asked(self, reply: Reply) -> str:
        conversation, said = reply.pair
        attributes = "\n".join(f"- {name}: {text}" for name, text in ATTRIBUTES.items())
        text = PROMPT.replace("{attributes}", attributes)
        text = text.replace("{conversation}", conversation).replace("{reply}", said)
        if self._tokenizer.chat_template is None:
            return text
        turns = [{"role": "user", "content": text}]
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _pinned(model: str) -> tuple[str, str | None]:
    """Return the id and the commit of ID@COMMIT; a directory has none, whatever it is called."""
    if Path(model).expanduser().is_dir():
        return model, None
    name, _, commit = model.partition("@")
    return name, commit or None


def read(text: str) -> dict[str, Any]:
    """Return the record of what a model wrote: its last JSON object, if it has all attributes from 0 to 10."""
    objects = OBJECT.findall(text)
    if not objects:
        return _failed("no JSON object in what it wrote")
    try:
        said = json.loads(objects[-1])
    except ValueError as error:
        return _failed(f"not JSON: {error}")
    labels = {name: said.get(name) for name in ATTRIBUTES}
    wrong = [name for name, value in labels.items() if type(value) not in (int, float) or not 0 <= value <= BEST]
    if wrong:
        return _failed(f"no number from 0 to 10 for {', '.join(wrong)}")
    return {"status": "ok", "labels": {name: value / BEST for name, value in labels.items()}}


def _failed(why: str) -> dict[str, Any]:
    return {"status": "judge_unparseable", "labels": {}, "error": why}


def _options(four_bit: bool) -> dict[str, Any]:
    import torch

    if not four_bit:
        return {"dtype": "auto", "device_map": device()} if find_spec("accelerate") else {"dtype": "auto"}
    if find_spec("bitsandbytes") is None:
        raise CriticError("--four-bit needs bitsandbytes (pip install bitsandbytes) and a GPU that it supports")
    from transformers import BitsAndBytesConfig

    kind: Any = BitsAndBytesConfig  # transformers leaves it untyped
    quantised = kind(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    return {"quantization_config": quantised, "device_map": "auto"}
