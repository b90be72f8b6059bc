"""Do the prompts, and a completion after each, fit into the policy's context?"""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from grpo_trainer.examination.finding import Finding, fail, ok, warn
from grpo_trainer.examination.preflight import Rows

SUBJECT = "prompt lengths"
MOST = 2_000
"""Rows that are looked at, evenly over the dataset: tokenising all of a large one would take minutes."""
CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len")
"""What the architectures call the length of their context."""


def lengths(tokenizer: PreTrainedTokenizerBase, rows: Rows) -> list[int]:
    """Return the tokens of each prompt as the policy is given it, of at most MOST rows."""
    looked_at = rows[:: max(1, -(-len(rows) // MOST))]
    return [_length(tokenizer, row["prompt"]) for row in looked_at]


def fit(config: PreTrainedConfig, found: Sequence[int], max_completion: int) -> Finding:
    """Say whether the longest prompt leaves room for `max_completion` tokens."""
    context = context_length(config)
    longest, mean = max(found), sum(found) / len(found)
    said = f"{mean:.0f} tokens on average, {longest} at most, and {max_completion} for a completion"
    if context is None:
        return warn(SUBJECT, f"{said}; the model does not say how long its context is")
    if longest + max_completion > context:
        return fail(
            SUBJECT,
            f"{said} do not fit into the model's context of {context}. Shorten the dataset's prompts, or lower "
            f"grpo.max_completion_length to {max(0, context - longest)} or less.",
        )
    return ok(SUBJECT, f"{said}; the context is {context}")


def context_length(config: PreTrainedConfig) -> int | None:
    text: Any = config.get_text_config()
    return next((value for name in CONTEXT if isinstance(value := getattr(text, name, None), int)), None)


def _length(tokenizer: PreTrainedTokenizerBase, prompt: Any) -> int:
    if isinstance(prompt, str):
        return len(tokenizer(prompt)["input_ids"])
    encoded: Any = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=True)
    return len(encoded["input_ids"])
