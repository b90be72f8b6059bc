"""Train a Bradley-Terry reward model: one output on an encoder, so that sigmoid(r(chosen) - r(rejected)) is likely."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from torch.nn import functional
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from reward_model_trainer.preference_file import PreferenceError
from reward_server.rewards import Item
from reward_server.rewards.models.checkpoint import encoding, tokenizer
from reward_server.rewards.models.conversation import text_pair
from reward_server.rewards.models.padded import padded
from reward_server.rewards.models.source import loading
from reward_server.rewards.models.tokenizer import Tokenizer

Row = Mapping[str, Any]
SIDES = ("chosen", "rejected")


@dataclass(frozen=True)
class Settings:
    """How a reward model is trained; `trained_layers` are counted from the output (`freeze_below`), None trains all."""

    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 2e-4
    max_tokens: int = 128
    trained_layers: int | None = None
    seed: int = 0


class PairTrainer(Trainer):
    """transformers' Trainer with the loss of Bradley & Terry 1952: -log sigmoid(r(chosen) - r(rejected))."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> torch.Tensor:
        chosen, rejected = (model(**inputs[side]).logits[:, 0] for side in SIDES)
        return -functional.logsigmoid(chosen - rejected).mean()


@dataclass(frozen=True)
class RewardModel:
    """A classifier of one output, its tokenizer as it is saved, and how a pair of texts becomes its input.

    The pair is encoded by the code that the served kind `reward_model` encodes it with, so that it is trained on what
    it will be asked.
    """

    model: PreTrainedModel
    words: PreTrainedTokenizerBase
    encoder: Tokenizer

    def inputs(self, rows: Sequence[Row], side: str) -> dict[str, torch.Tensor]:
        """Return the padded inputs of one side of the rows."""
        encoded = self.encoder.pairs([_pair(row, side) for row in rows])
        return padded(encoded, self.model.config.get_text_config().pad_token_id, self.model.device)

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.words.save_pretrained(folder)


def load(base: str, revision: str | None, settings: Settings) -> RewardModel:
    """Return the encoder with a new head of one output. The seed decides the head.

    Raises:
        PreferenceError: there is no such model, or it cannot read so many tokens.
    """
    set_seed(settings.seed)
    try:
        found, options = loading(base, revision)
        words = tokenizer(base, revision)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            found, num_labels=1, dtype=torch.float32, use_safetensors=True, **options
        )
        if model.config.get_text_config().pad_token_id is None:
            model.config.get_text_config().pad_token_id = words.pad_token_id
        encoder = encoding(model, words, settings.max_tokens, literal=True)
    except (OSError, TypeError, ValueError) as error:
        raise PreferenceError(f"no encoder at {base!r}: {str(error).splitlines()[0]}") from error
    freeze_below(model, settings.trained_layers)
    return RewardModel(model, words, encoder)


def freeze_below(model: PreTrainedModel, layers: int | None) -> None:
    """Leave the words' embeddings and all but the last `layers` layers as they are.

    All else trains: the last layers and what is above them, and what an encoder adds to the words' embeddings below
    them, for positions and token types, with its norm.

    Raises:
        PreferenceError: the model's layers cannot be told apart by transformers' usual names.
    """
    if layers is None:
        return
    base: Any = model.base_model
    stack: Any = getattr(getattr(base, "encoder", base), "layer", getattr(base, "layers", None))
    if stack is None:
        raise PreferenceError(f"{type(base).__name__} has no list of layers; leave out --trained-layers")
    for module in (base.get_input_embeddings(), *list(stack)[: max(0, len(stack) - layers)]):
        module.requires_grad_(False)


def trained(
    reward: RewardModel, rows: Sequence[Row], settings: Settings, callbacks: Sequence[TrainerCallback] = ()
) -> None:
    """Train the model in place."""
    with TemporaryDirectory() as folder:  # transformers wants one, and leaves nothing in it
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate,
            warmup_steps=0.1,  # a share of the steps
            lr_scheduler_type="linear",
            logging_steps=0.05,
            logging_nan_inf_filter=False,  # else a loss that is not finite is told as one of 0
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            seed=settings.seed,
        )
        trainer = PairTrainer(
            reward.model,
            arguments,
            data_collator=lambda batch: {side: reward.inputs(batch, side) for side in SIDES},
            train_dataset=Dataset.from_list([dict(row) for row in rows]),
            callbacks=list(callbacks),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    reward.model.eval()  # type: ignore[no-untyped-call]  # transformers'


@torch.inference_mode()
def margins(reward: RewardModel, rows: Sequence[Row], batch: int = 32) -> list[float]:
    """Return r(chosen) - r(rejected) of each row; a positive one is a preference that the model shares.

    Raises:
        PreferenceError: one is not finite: it is no preference, either way.
    """
    reward.model.eval()  # type: ignore[no-untyped-call]  # transformers'
    found: list[float] = []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        chosen, rejected = (reward.model(**reward.inputs(part, side)).logits[:, 0] for side in SIDES)
        found += (chosen - rejected).tolist()
    if wrong := sum(not math.isfinite(one) for one in found):
        raise PreferenceError(
            f"the model's rewards are not finite in {wrong} of {len(found)} pairs: its training diverged, or its base "
            "holds such weights; a lower --learning-rate may do"
        )
    return found


def accuracy(found: Sequence[float]) -> float | None:
    """Return the share of positive margins; a margin of exactly 0 counts half. None without any."""
    return sum(1.0 if one > 0 else 0.5 * (one == 0) for one in found) / len(found) if found else None


def split(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (training, validation) rows; those of one topic, or else of one prompt, are never on both sides."""
    keys = sorted({_key(row) for row in rows})
    random.Random(f"split {seed}").shuffle(keys)
    held_out = set(keys[: max(1, round(share * len(keys)))] if share > 0 and len(keys) > 1 else [])
    return (
        [row for row in rows if _key(row) not in held_out],
        [row for row in rows if _key(row) in held_out],
    )


def _key(row: Row) -> str:
    return str(row.get("topic") or row["prompt"])


def _pair(row: Row, side: str) -> tuple[str, str]:
    prompt = row["prompt"]
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return text_pair(Item.from_fields({"prompt": turns, "completion": row[side]}))
