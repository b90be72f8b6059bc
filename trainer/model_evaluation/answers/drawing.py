"""How the next tokens are drawn and when a row is done: each row by itself, whatever it is batched with."""

import random
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase, StoppingCriteria


class NucleusDrawing(LogitsProcessor):
    """Leaves of each row's logits only the token drawn from its nucleus with the row's own random numbers.

    By inverting the distribution's sum over tokens from the likeliest on, within the smallest set that has a
    probability of `top_p` (Holtzman et al. 2020). Two models with the same logits draw the same tokens.
    """

    def __init__(self, temperature: float, top_p: float, seeds: Sequence[str]) -> None:
        self._temperature, self._top_p = temperature, top_p
        self._generators = [random.Random(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        shares, tokens = (scores.double() / self._temperature).softmax(1).sort(stable=True, dim=1, descending=True)
        reached = shares.cumsum(1)  # (rows, vocabulary)
        in_nucleus = (reached - shares < self._top_p).sum(1, keepdim=True)  # (rows, 1)
        mass = reached.gather(1, in_nucleus - 1)
        points = [generator.random() for generator in self._generators]
        at = torch.tensor(points, dtype=torch.float64, device=scores.device).unsqueeze(1) * mass
        place = torch.searchsorted(reached, at, right=True).minimum(in_nucleus - 1)
        drawn = tokens.gather(1, place)
        kept = torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)
        assert isinstance(kept, torch.FloatTensor | torch.Tensor)
        return kept  # type: ignore[return-value]


class StopTexts(StoppingCriteria):
    """Ends each row in whose new text one of the stops has appeared."""

    def __init__(self, stops: Sequence[str], tokenizer: PreTrainedTokenizerBase, width: int) -> None:
        self._stops, self._tokenizer, self._width = tuple(stops), tokenizer, width
        self._tail = 8 + max(len(stop) for stop in stops)  # a token has a character at least, most of the time

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: object) -> torch.BoolTensor:
        tails = input_ids[:, max(self._width, input_ids.shape[1] - self._tail) :]
        texts = [str(self._tokenizer.decode(row, skip_special_tokens=True)) for row in tails]
        done = [any(stop in text for stop in self._stops) for text in texts]
        return torch.tensor(done, device=input_ids.device, dtype=torch.bool)  # type: ignore[return-value]
