"""Answers of a language model in this process: batched, and yet each the same whatever it was batched with."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reward_server.rewards.models.language_model import LanguageModel
from reward_server.rewards.models.next_token import batches
from reward_server.rewards.models.prefix_tree import Tokens

if TYPE_CHECKING:
    import torch


class Opening(NamedTuple):
    """What is to be continued, and the seed of the random numbers to do it with."""

    tokens: Tokens
    seed: int


def continued(
    language_model: LanguageModel, openings: Sequence[Opening], longest: int, temperature: float, batch_tokens: int
) -> list[str]:
    """Return the text that the model continues each opening with, up to `longest` tokens; "" where it says nothing.

    Greedy at temperature 0; else drawn from the softmax of logits/temperature, each row with a generator of its own
    (no nucleus, no top-k). The model's generation config decides where a text ends.
    """
    texts: dict[int, str] = {}
    lengths = [len(opening.tokens) for opening in openings]
    for some in batches(lengths, longest, batch_tokens, batch_tokens):
        written = _written(language_model, [openings[index] for index in some], longest, temperature)
        texts.update(zip(some, written, strict=True))
    return [texts[index] for index in range(len(openings))]


def _written(language_model: LanguageModel, openings: list[Opening], longest: int, temperature: float) -> list[str]:
    import torch
    from transformers import GenerationConfig

    model, tokenizer = language_model.model, language_model.tokenizer
    ends = _ends(model, tokenizer)
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=longest, do_sample=False, num_beams=1, eos_token_id=ends or None, pad_token_id=(ends or [0])[0]
    )
    width = max(len(opening.tokens) for opening in openings)
    # Padded on the left, so that every row goes on at the same place.
    ids = [(0,) * (width - len(opening.tokens)) + opening.tokens for opening in openings]
    mask = [[0] * (width - len(opening.tokens)) + [1] * len(opening.tokens) for opening in openings]
    draw = [Drawing(temperature, [opening.seed for opening in openings])] if temperature > 0 else []
    with language_model.running, torch.inference_mode():
        out = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=config,
            logits_processor=draw,
        )
    rows: list[list[int]] = out[:, width:].tolist()
    return [tokenizer.decode(_until(row, ends), skip_special_tokens=True).strip() for row in rows]


class Drawing:
    """Leaves of each row's logits only the token drawn with the row's own random numbers (by inverting the CDF)."""

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._generators = [random.Random(seed) for seed in seeds]

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        import torch

        shares = (scores.double() / self._temperature).softmax(1).cumsum(1)  # (rows, vocabulary)
        points = [generator.random() for generator in self._generators]
        at = torch.tensor(points, dtype=torch.float64, device=scores.device).unsqueeze(1) * shares[:, -1:]
        drawn = torch.searchsorted(shares, at, right=True).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    ends = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id]
    return [end for end in dict.fromkeys(ends) if end is not None]


def _until(row: list[int], ends: list[int]) -> list[int]:
    return row[: next((place for place, token in enumerate(row) if token in ends), len(row))]
