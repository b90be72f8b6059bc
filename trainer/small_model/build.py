"""`guerdon small-model CORPUS.jsonl --out DIR`: a small language model, trained from scratch on a corpus.

It is for proofs: a run on two CPU cores needs a policy that generates in milliseconds. What comes out is an ordinary
transformers directory with tokenizer and chat template, and small_model.json, which says what it was made of.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_model.corpus import CorpusError, read, read_phrases

CARD = "small_model.json"


def main(argv: list[str]) -> int:
    """Run the command; return 0, or 2 when it cannot start as described."""
    options = parser().parse_args(argv)
    try:
        if options.out.is_dir() and any(options.out.iterdir()):
            raise CorpusError(f"{options.out} is not empty; choose another --out, or delete it")
        examples = read(options.corpus)
        phrases = read_phrases(options.phrases) if options.phrases else []
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        from small_model import tokenizer, training  # torch, only once the corpus is known to be one

        shape = training.Shape(
            hidden=options.hidden,
            layers=options.layers,
            heads=options.heads,
            context=options.context,
            steps=options.steps,
            batch=options.batch,
            learning_rate=options.learning_rate,
            initial_std=options.initial_std,
            seed=options.seed,
        )
        spelling = tokenizer.learnt(examples, options.vocabulary)
        words = tokenizer.with_phrases(spelling, phrases)
        model = training.new_model(shape, words)
        print(f"small model: {model.num_parameters():,} weights, {len(examples):,} rows", file=sys.stderr, flush=True)
        facts = training.trained(model, words, spelling, examples, shape)
        made_of = {"corpus": options.corpus.name, "sha256": _digest(options.corpus), **vars(shape), **facts}
        with _written_whole(options.out) as folder:
            training.save(model, words, folder)
            (folder / CARD).write_text(json.dumps(made_of, indent=2) + "\n", encoding="utf-8")
    except CorpusError as error:
        print(f"guerdon small-model: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("guerdon small-model: interrupted; nothing was written", file=sys.stderr)
        return 130
    print(f"{options.out}: {facts['weights']:,} weights, held-out loss {facts['held_out_loss']} nats per token")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon small-model",
        description="Train a small language model from scratch on a corpus: a policy for runs on a few CPU cores.",
        epilog='A row of the corpus: {"prompt": "text, or chat messages", "completion": "text"}.',
    )
    options.add_argument("corpus", type=Path, metavar="CORPUS.jsonl")
    options.add_argument("--out", type=Path, required=True, help="the model's directory")
    options.add_argument("--steps", type=_positive, default=600, help="optimiser steps (default 600)")
    options.add_argument("--batch", type=_positive, default=32, help="rows per step (default 32)")
    options.add_argument("--learning-rate", type=float, default=2e-3)
    options.add_argument(
        "--initial-std",
        type=float,
        default=0.02,
        help="of the weights that training begins with (default 0.02); a narrow model that has to compare things "
        "learns it sooner from HIDDEN**-0.5",
    )
    options.add_argument("--hidden", type=_positive, default=192, help="width (default 192)")
    options.add_argument("--layers", type=_positive, default=4)
    options.add_argument("--heads", type=_positive, default=4)
    options.add_argument("--context", type=_positive, default=1024, help="tokens of prompt and completion together")
    options.add_argument("--vocabulary", type=_positive, default=2048, help="tokens of the tokenizer, at most")
    options.add_argument("--phrases", type=Path, metavar="FILE", help="a JSON list of texts that are one token each")
    options.add_argument("--seed", type=int, default=0)
    return options


@contextmanager
def _written_whole(place: Path) -> Iterator[Path]:
    """Give a folder beside `place`, which takes its name once all is written."""
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        yield part
        if place.exists():
            place.rmdir()  # an empty one; where there is something in it, that is somebody else's
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
