"""What a run is going to ask for: completions, reward calls, tokens, money and disk space."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from trl.trainer.grpo_config import GRPOConfig

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.examination.finding import Finding, fail, ok
from grpo_trainer.examination.preflight import existing
from grpo_trainer.imputation.subset import FEWEST

MOMENTS = 2
"""AdamW keeps two float32 values of every trained weight."""
FLOAT32 = 4
ROW_BYTES = 2_000
"""Of a completion in the ledger, compressed; measured on the shipped runs it is less."""


@dataclass(frozen=True)
class Work:
    """Attributes: steps of the optimizer, completions of training and of evaluation, all over the whole run."""

    steps: int
    completions: int
    evaluated: int


def work(args: GRPOConfig, train_rows: int, validation_rows: int) -> Work:
    """Return what TRL will do with these settings and this many rows."""
    per_step = args.per_device_train_batch_size * args.world_size * args.gradient_accumulation_steps
    reuse = args.num_iterations
    generations = args.num_generations or 1
    if args.max_steps > 0:
        steps = args.max_steps
    else:
        batch = args.per_device_train_batch_size * args.world_size * (args.steps_per_generation or 1)
        batches = train_rows // max(1, batch // generations)
        steps = math.ceil(batches * batch * reuse / per_step * args.num_train_epochs)
    evaluations = 0
    if args.eval_strategy != "no":
        every = args.eval_steps if args.eval_strategy == "steps" and args.eval_steps else max(1, steps)
        every = every * steps if every < 1 else every  # transformers takes a share of the steps too
        evaluations = int(steps // max(1, every))
    evaluated = evaluations * validation_rows * (args.num_generations_eval or generations)
    return Work(steps, math.ceil(steps * per_step / reuse), evaluated)


def calls(config: RunConfig, args: GRPOConfig, found: Work) -> dict[str, int]:
    """Return how many completions each reward is asked for: of one that is imputed the fewest, its gate being open."""
    asked = dict.fromkeys(config.weights, found.completions + found.evaluated)
    settings = config.imputation
    if settings is not None and config.imputed is not None and settings.mode == "impute":
        size = args.num_generations or 1
        part = max(settings.q * size, min(FEWEST, size)) / size
        at_first = sum(step / found.steps < settings.from_share for step in range(found.steps)) / max(1, found.steps)
        asked[config.imputed] = round(found.completions * (at_first + (1 - at_first) * part)) + found.evaluated
    return asked


def of_calls(config: RunConfig, args: GRPOConfig, found: Work, prompt_tokens: float) -> list[Finding]:
    """Say what the whole run asks of the policy and of each reward; `prompt_tokens` is the mean of a prompt."""
    completions = found.completions + found.evaluated
    longest = args.max_completion_length or 0
    generated, read = completions * longest, round(completions * prompt_tokens)
    asked = calls(config, args, found)
    least = _least(list(asked.values()), completions)
    lines = [
        ok(
            "expected work",
            f"{found.steps:,} steps, {completions:,} completions ({found.evaluated:,} of them in evaluations): at most "
            f"{generated:,} tokens written after {read:,} tokens of prompts; {least}"
            f"{sum(asked.values()):,} reward calls",
        )
    ]
    priced = [term for term in config.rewards if term.cost_per_call is not None]
    if priced:
        total = sum((term.cost_per_call or 0) * asked[term.name] for term in priced)
        least = _least([asked[term.name] for term in priced], completions)
        rest = len(config.rewards) - len(priced)
        unknown = f"; {rest} rewards name no cost_per_call" if rest else ""
        lines.append(ok("expected cost", f"{least}{total:,.2f} for {', '.join(term.name for term in priced)}{unknown}"))
    return lines


def _least(asked: list[int], completions: int) -> str:
    """Return `at least` where something is imputed: while its gate is closed, everyone is scored."""
    return "at least " if min(asked) < completions else ""


def of_disk(folder: Path, args: GRPOConfig, found: Work, trained: int, beside: int) -> Finding:
    """Say whether the checkpoints, the result and the ledger fit on the disk.

    `trained` counts the trained weights, `beside` those that are saved once, when the run ends.
    """
    checkpoint = trained * FLOAT32 * (1 + (0 if args.save_only_model else MOMENTS))
    kept = 0 if args.save_strategy == "no" else (args.save_total_limit or found.steps) + 1  # one more while it rotates
    need = checkpoint * kept + (trained + beside) * FLOAT32
    need += found.completions * ROW_BYTES
    free = shutil.disk_usage(existing(folder)).free
    said = f"checkpoints, result and ledger take about {_size(need)} in {folder}; {_size(free)} are free"
    if need > free:
        return fail("disk space", f"{said}. Free some, choose another --out, or lower grpo.save_total_limit.")
    return ok("disk space", said)


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
