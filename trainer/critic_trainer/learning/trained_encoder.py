"""The encoder while it is trained: frozen, each text read once; or with an adapter, read anew every time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from critic_trainer.critic_error import CriticError
from critic_trainer.learning.critic_file import Encoder
from critic_trainer.reply import Reply
from long_work.progress import Progress
from reward_server.rewards.models.backbone import Backbone
from reward_server.rewards.models.checkpoint import encoder, encoding, tokenizer
from reward_server.rewards.models.tokenizer import Encoded

AT_A_TIME = 64


class TrainedEncoder:
    """Makes vectors of replies, float32 (n, width), with gradients where there is an adapter."""

    def __init__(self, settings: Encoder) -> None:
        """Load.

        Raises:
            CriticError: it cannot be loaded, or does not read so many tokens.
        """
        self.settings = settings
        try:
            self._model: Any = encoder(settings.model, settings.hub_revision, "float32")
            self._words = tokenizer(settings.model, settings.hub_revision)
            self._tokenizer = encoding(self._model, self._words, settings.max_tokens, literal=True)
        except (OSError, ValueError, TypeError) as error:
            raise CriticError(f"the encoder {settings.model!r}: {error}") from None
        self.width = int(self._model.config.get_text_config().hidden_size)
        if settings.train == "lora":
            self._model = _with_adapter(self._model, settings)

    @property
    def device(self) -> torch.device:
        found: torch.device = self._model.device
        return found

    def weights(self) -> list[torch.nn.Parameter]:
        return [one for one in self._model.parameters() if one.requires_grad] if self.settings.train == "lora" else []

    def state(self) -> dict[str, torch.Tensor]:
        """Return a copy of what is trained."""
        kept = self._model.state_dict() if self.settings.train == "lora" else {}
        return {name: tensor.detach().clone() for name, tensor in kept.items() if "lora_" in name}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        if state:
            self._model.load_state_dict(state, strict=False)

    def encoded(self, replies: Sequence[Reply]) -> list[Encoded]:
        return self._tokenizer.pairs([reply.pair for reply in replies])

    def read(self, sequences: Sequence[Encoded], what: str) -> torch.Tensor:
        """Return the vectors of a frozen encoder, all texts once, as the served critic makes them."""
        backbone = Backbone(self._model, self.settings.pooling)  # from here on the model reads packed rows only
        found = []
        with Progress(what, len(sequences)) as progress:
            for start in range(0, len(sequences), AT_A_TIME):
                some = sequences[start : start + AT_A_TIME]
                found.append(backbone.pooled(some))
                progress.advance(len(some))
        return torch.cat(found).clone()

    def vectors(self, sequences: Sequence[Encoded]) -> torch.Tensor:
        """Return the vectors of one batch, with gradients."""
        longest = max(len(one.ids) for one in sequences)
        pad = self._words.pad_token_id or 0
        ids = torch.tensor([one.ids + [pad] * (longest - len(one.ids)) for one in sequences])
        kept = torch.tensor([[1] * len(one.ids) + [0] * (longest - len(one.ids)) for one in sequences])
        inputs = {"input_ids": ids, "attention_mask": kept}
        if sequences[0].types is not None:
            padded = [(one.types or []) + [0] * (longest - len(one.ids)) for one in sequences]
            inputs["token_type_ids"] = torch.tensor(padded)
        states = self._model(**{name: one.to(self.device) for name, one in inputs.items()}).last_hidden_state.float()
        return self._pooled(states, kept.to(self.device))

    def save(self, folder: Path) -> str:
        """Write the encoder with its adapter merged in; return what heads.json calls it.

        A frozen encoder is not copied: it stays where it came from, a directory by its absolute path.
        """
        if self.settings.train == "frozen":
            directory = Path(self.settings.model).expanduser()
            return str(directory.resolve()) if directory.is_dir() else self.settings.model
        merged = self._model.merge_and_unload()
        merged.save_pretrained(folder / "encoder")
        self._words.save_pretrained(folder / "encoder")
        return "encoder"

    def _pooled(self, states: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        if self.settings.pooling == "cls":
            return states[:, 0]
        if self.settings.pooling == "last":
            return states[torch.arange(len(states), device=states.device), kept.sum(1) - 1]
        return (states * kept[..., None]).sum(1) / kept.sum(1, keepdim=True)


def _with_adapter(model: Any, settings: Encoder) -> Any:
    from peft import LoraConfig, get_peft_model

    targets: Any = settings.lora.target_modules
    if targets == ["all-linear"]:
        linear = {name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
        targets = sorted(name for name in linear if not name.startswith("pooler"))  # its output is never read
    config = LoraConfig(r=settings.lora.r, lora_alpha=settings.lora.alpha, target_modules=targets)
    return get_peft_model(model, config)  # stays in eval mode: dropout only costs a regression accuracy here
