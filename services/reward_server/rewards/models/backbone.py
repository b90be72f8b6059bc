"""A transformer that makes one vector of each sequence, on CPUs without computing any padding."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from reward_server.rewards.models.cores import cores, parts
from reward_server.rewards.models.packed import packed_states, packs
from reward_server.rewards.models.padded import padded_states
from reward_server.rewards.models.tokenizer import Encoded

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "cls", "last"]
"""Which hidden states become the vector: all on average, the first (encoders), or the last (decoders)."""


class Backbone:
    """A loaded model and the cheapest exact way to run it.

    On a CPU the sequences are shared out over its cores, and each core runs its share end to end as one row. On a GPU,
    and for models that cannot be packed, they are the rows of one padded batch.

    Args:
        model: a transformers model without a head, in eval mode, on its device.
        pooling: of the last hidden states.
        skip: a token that `last` passes over at the end of a sequence, as transformers' classifiers do with padding.
    """

    def __init__(self, model: Any, pooling: Pooling, skip: int | None = None) -> None:
        import torch

        self.model, self.pooling, self._skip = model, pooling, skip
        model.config.use_cache = False
        with torch.inference_mode():
            self._cores = cores() if model.device.type == "cpu" and packs(model) else None

    def pooled(self, sequences: Sequence[Encoded]) -> "torch.Tensor":
        """Return a vector per sequence, float32 (n, d), on the model's device."""
        import torch

        if self._cores is None:
            return self._run(sequences)
        shares = parts([len(one.ids) for one in sequences], self._cores.count)
        found = self._cores.map(lambda share: self._run([sequences[index] for index in share]), shares)
        order = torch.tensor([index for share in shares for index in share])
        return torch.cat(found)[order.argsort()]

    @property
    def packed(self) -> bool:
        return self._cores is not None

    def _run(self, sequences: Sequence[Encoded]) -> "torch.Tensor":
        import torch

        with torch.inference_mode():
            states = (packed_states if self.packed else padded_states)(self.model, sequences)
            return self._pool(states.float(), sequences)

    def _pool(self, states: "torch.Tensor", sequences: Sequence[Encoded]) -> "torch.Tensor":
        """Return (n, d) of states (tokens, d), those of one sequence behind those of another."""
        import torch

        lengths = torch.tensor([len(one.ids) for one in sequences], device=states.device)
        if self.pooling == "mean":
            return torch.segment_reduce(states, "mean", lengths=lengths, axis=0)
        starts = lengths.cumsum(0) - lengths
        if self.pooling == "cls":
            return states[starts]
        return states[starts + torch.tensor([self._last(one.ids) for one in sequences], device=states.device)]

    def _last(self, ids: list[int]) -> int:
        return next((place for place in range(len(ids) - 1, -1, -1) if ids[place] != self._skip), 0)
