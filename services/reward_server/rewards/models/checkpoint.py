"""Weights and tokenizer as transformers loads them, refused where they would only seem to work."""

import inspect
from typing import Any

from reward_server.rewards.models.source import Dtype, device, dtype, loading
from reward_server.rewards.models.tokenizer import Tokenizer

UNUSED = "pooler"
"""What encoders often lack and nothing here reads."""


def encoder(model: str, hub_revision: str | None, precision: Dtype) -> Any:
    """Return a transformer without a head, in eval mode, on the device.

    Raises:
        FileNotFoundError, ValueError: as `source`; or weights are missing, and would have been random.
    """
    from transformers import AutoModel

    return _loaded(AutoModel, model, hub_revision, precision, UNUSED)


def classifier(model: str, hub_revision: str | None, precision: Dtype, trust_remote_code: bool) -> Any:
    """Return a sequence classifier, in eval mode, on the device.

    Raises:
        FileNotFoundError, ValueError: as `encoder`. A language model's weights, for one, lack the classifier's head.
    """
    from transformers import AutoModelForSequenceClassification

    return _loaded(
        AutoModelForSequenceClassification, model, hub_revision, precision, trust_remote_code=trust_remote_code
    )


def tokenizer(model: str, hub_revision: str | None, trust_remote_code: bool = False) -> Any:
    """Return transformers' tokenizer of a model."""
    from transformers import AutoTokenizer

    found, options = loading(model, hub_revision)
    return AutoTokenizer.from_pretrained(found, **options | {"trust_remote_code": trust_remote_code})


def encoding(model: Any, tokenizer: Any, max_tokens: int | None, literal: bool = False) -> Tokenizer:
    """Return what makes a model's inputs; `max_tokens` None: as long as the model can read.

    Raises:
        TypeError: as `Tokenizer`.
        ValueError: as `Tokenizer`; or the model cannot read so many tokens.
    """
    longest = context(model, tokenizer)
    if max_tokens is not None and max_tokens > longest:
        raise ValueError(f"max_tokens = {max_tokens}, but the model reads {longest} at most")
    typed = "token_type_ids" in inspect.signature(model.forward).parameters
    return Tokenizer(tokenizer, max_tokens or longest, typed, literal)


def context(model: Any, tokenizer: Any) -> int:
    """Return how many tokens a model can read."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(int(positions or tokenizer.model_max_length), int(tokenizer.model_max_length))


def _loaded(auto: Any, model: str, hub_revision: str | None, precision: Dtype, unused: str = "", **more: Any) -> Any:
    found, options = loading(model, hub_revision)
    options |= {"dtype": dtype(precision), "use_safetensors": True, "output_loading_info": True, **more}
    weights, info = auto.from_pretrained(found, **options)
    missing = sorted(name for name in info["missing_keys"] if not (unused and unused in name))
    if missing:
        raise ValueError(f"the weights of {model!r} lack {missing[:5]}: it is no {type(weights).__name__}")
    return weights.eval().to(device())
