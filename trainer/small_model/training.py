"""Train a small Llama-like model on a corpus, and say how well it predicts rows that it has not seen."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from small_model.corpus import CorpusError, Example
from small_model.progress import StepLines
from small_model.tokenizer import encoded

HELD_OUT = 0.02
"""The share of rows that the loss is measured on, at most `MOST_HELD_OUT` of them."""
MOST_HELD_OUT = 500
SPELLED = 0.1
"""The share of rows in which phrases are spelled in words, so that a text that resembles one is no stranger."""


@dataclass(frozen=True)
class Shape:
    """How large the model is, and how long it is trained."""

    hidden: int
    layers: int
    heads: int
    context: int
    steps: int
    batch: int
    learning_rate: float
    initial_std: float
    seed: int


def new_model(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a model with random weights, which depend on the seed alone."""
    torch.manual_seed(shape.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=3 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=shape.initial_std,
    )
    return LlamaForCausalLM(config)


def trained(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    spelling: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    shape: Shape,
) -> dict[str, Any]:
    """Train the model in place; return what it was trained on and its loss on held-out rows, in nats per token.

    Args:
        model: its weights are trained.
        tokenizer: the model's.
        spelling: the same without phrases.
        examples: the corpus.
        shape: how long to train.

    Raises:
        CorpusError: a row is longer than the context.
    """
    draw = random.Random(f"spelled {shape.seed}")
    rows = [encoded(example, spelling if draw.random() < SPELLED else tokenizer) for example in examples]
    _refuse_too_long(rows, shape.context)
    random.Random(shape.seed).shuffle(rows)
    held_out = max(1, min(MOST_HELD_OUT, int(HELD_OUT * len(rows))))
    with TemporaryDirectory() as scratch:
        trainer = Trainer(
            model=model,
            args=_arguments(shape, scratch),
            train_dataset=Dataset.from_list(rows[held_out:]),
            eval_dataset=Dataset.from_list(rows[:held_out]),
            data_collator=DataCollatorForSeq2Seq(tokenizer, padding="longest"),
            callbacks=_callbacks(),
        )
        trainer.remove_callback(PrinterCallback)
        done = trainer.train()
        loss = trainer.evaluate()["eval_loss"]
    return {
        "rows": len(rows) - held_out,
        "held_out_rows": held_out,
        "held_out_loss": round(float(loss), 4),
        "train_loss": round(float(done.training_loss), 4),
        "weights": model.num_parameters(),
        "seconds": round(float(done.metrics["train_runtime"]), 1),
    }


def _arguments(shape: Shape, scratch: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=scratch,
        max_steps=shape.steps,
        per_device_train_batch_size=shape.batch,
        per_device_eval_batch_size=shape.batch,
        learning_rate=shape.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, shape.steps // 20),
        weight_decay=0.01,
        train_sampling_strategy="group_by_length",  # rows of a batch are of like length: little padding
        logging_steps=max(1, shape.steps // 20),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=shape.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _callbacks() -> list[TrainerCallback]:
    return [StepLines()] if os.environ.get("RANK", "0") == "0" else []


def _refuse_too_long(rows: Sequence[dict[str, list[int]]], context: int) -> None:
    longest = max(len(row["input_ids"]) for row in rows)
    if longest > context:
        raise CorpusError(f"the longest row has {longest} tokens; --context is {context}: give at least {longest}")


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
