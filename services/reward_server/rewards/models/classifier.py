"""A sequence classifier: the outputs of its head for each sequence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reward_server.rewards.models.backbone import Backbone
from reward_server.rewards.models.packed import probes
from reward_server.rewards.models.padded import padded, padded_states
from reward_server.rewards.models.tokenizer import Encoded

if TYPE_CHECKING:
    import torch


class Classifier:
    """A transformers sequence classifier and the cheapest exact way to run it.

    A decoder's head is one linear layer on the last token's state. It is then run by itself, so that neither padding
    nor a missing padding token can change which token is the last. Any other head is run as it comes, padded.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._pad = model.config.get_text_config().pad_token_id
        self._backbone = self._tried()

    @property
    def packed(self) -> bool:
        """Whether nothing is padded."""
        return self._backbone is not None and self._backbone.packed

    def logits(self, sequences: Sequence[Encoded]) -> "torch.Tensor":
        """Return the outputs for each sequence, float32 (n, outputs), on the model's device."""
        import torch

        with torch.inference_mode():
            if self._backbone is not None:
                return self._scored(self._backbone.pooled(sequences))
            logits: torch.Tensor = self._model(**padded(sequences, self._pad, self._model.device)).logits
            return logits.float()

    def _scored(self, states: "torch.Tensor") -> "torch.Tensor":
        head: torch.nn.Linear = self._model.score
        outputs: torch.Tensor = head(states.to(head.weight.dtype))
        return outputs.float()

    def _tried(self) -> Backbone | None:
        """Return the classifier's backbone if its outputs are those of a linear layer on the last token's state."""
        import torch

        if not isinstance(getattr(self._model, "score", None), torch.nn.Linear):
            return None
        base = self._model.base_model
        probe = probes(base)[:1]
        with torch.inference_mode():
            expected = self._model(**padded(probe, self._pad, self._model.device)).logits.float()
            found = self._scored(padded_states(base, probe)[-1:])
        tolerance = 1e-4 if self._model.dtype == torch.float32 else 0.05
        same = found.shape == expected.shape and torch.allclose(found, expected, rtol=tolerance, atol=tolerance)
        return Backbone(base, "last", skip=self._pad) if same else None
