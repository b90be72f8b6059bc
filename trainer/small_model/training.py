"""Train a small Llama-like model on a corpus, and say how well it predicts rows that it has not seen."""

import random
from collections.abc import Sequence
from pathlib import Path
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
from small_model.shape import Shape
from small_model.tokenizer import Row, encoded

HELD_OUT = 0.02
"""The share of rows that the loss is measured on, at most `MOST_HELD_OUT` of them."""
MOST_HELD_OUT = 500
SPELLED = 0.1
"""The share of rows in which phrases are spelled in words, so that a text that resembles one is no stranger."""
LAST_WRITTEN = "trainer_state.json"
"""What transformers' Trainer writes last into a checkpoint."""


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


def rows(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, spelling: PreTrainedTokenizerFast, shape: Shape
) -> list[Row]:
    """Return the corpus in tokens, shuffled; `spelling` is the same tokenizer without phrases.

    Raises:
        CorpusError: a row is longer than the context.
    """
    draw = random.Random(f"spelled {shape.seed}")
    found = [encoded(example, spelling if draw.random() < SPELLED else tokenizer) for example in examples]
    longest = max(len(row["input_ids"]) for row in found)
    if longest > shape.context:
        raise CorpusError(
            f"the longest row has {longest} tokens; --context is {shape.context}: give at least {longest}"
        )
    random.Random(shape.seed).shuffle(found)
    return found


def trained(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Sequence[Row],
    shape: Shape,
    scratch: Path,
    callbacks: Sequence[TrainerCallback] = (),
) -> dict[str, Any]:
    """Train the model in place; return its size, what it was trained on and its loss on held-out rows.

    The loss is in nats per token, and not finite where the training diverged.

    Every epoch leaves a checkpoint in `scratch`, after which a training that was stopped goes on, to the same weights.
    """
    held_out = max(1, min(MOST_HELD_OUT, int(HELD_OUT * len(corpus))))
    trainer = Trainer(
        model=model,
        args=_arguments(shape, scratch),
        train_dataset=Dataset.from_list(list(corpus[held_out:])),
        eval_dataset=Dataset.from_list(list(corpus[:held_out])),
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding="longest"),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_checkpoint(scratch, shape.steps))
    loss = trainer.evaluate()["eval_loss"]
    return {
        "rows": len(corpus) - held_out,
        "held_out_rows": held_out,
        "held_out_loss": round(float(loss), 4),
        "tokens": len(tokenizer),
        "weights": model.num_parameters(),
    }


def _arguments(shape: Shape, scratch: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=shape.steps,
        per_device_train_batch_size=shape.batch,
        per_device_eval_batch_size=shape.batch,
        learning_rate=shape.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, shape.steps // 20),
        weight_decay=0.01,
        train_sampling_strategy="group_by_length",  # rows of a batch are of like length: little padding
        logging_steps=max(1, shape.steps // 20),
        logging_nan_inf_filter=False,  # else a loss that is not finite is told as one of 0
        save_strategy="epoch",  # at its end the order of the next epoch's rows is not yet drawn
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        seed=shape.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _last_checkpoint(scratch: Path, steps: int) -> str | None:
    """Return the last checkpoint that is whole, before the last step: after it Trainer would take one more."""
    found = {int(one.parent.name.partition("-")[2]): one for one in scratch.glob(f"checkpoint-*/{LAST_WRITTEN}")}
    before = [step for step in found if step < steps]
    return str(found[max(before)].parent) if before else None


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
