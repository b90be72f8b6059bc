"""`guerdon small-model CORPUS.jsonl --out DIR`: a small language model, trained from scratch on a corpus.

It is for proofs: a run on two CPU cores needs a policy that generates in milliseconds. What comes out is an ordinary
transformers directory with tokenizer and chat template, and small_model.json, which says what it was made of.
"""

import argparse
import math
import shutil
import sys
from dataclasses import asdict, fields
from functools import partial
from hashlib import blake2b
from pathlib import Path

from long_work import content_digest, exit_status, json_file, quiet, written_whole
from long_work.command_error import CommandError
from long_work.real_number import above_zero
from long_work.whole_number import natural, positive
from small_model import corpus
from small_model.shape import Shape

CARD = "small_model.json"


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    stopped = "the same command goes on after the last epoch"
    return exit_status.of("guerdon small-model", partial(run, options), "trainer", stopped)


def run(options: argparse.Namespace) -> int:
    """Train a model and write its directory.

    Raises:
        CommandError: the corpus, the phrases, the shape or the directory cannot be used, or the training diverged.
    """
    shape = Shape(**{one.name: getattr(options, one.name) for one in fields(Shape)})
    examples = corpus.read(options.corpus)
    phrases = corpus.read_phrases(options.phrases) if options.phrases else []
    made_of = {
        "corpus": options.corpus.name,
        "sha256": content_digest.of(options.corpus),
        "phrases": options.phrases.name if options.phrases else None,
        "phrases_sha256": content_digest.of(options.phrases) if options.phrases else None,
        "vocabulary": options.vocabulary,
        **asdict(shape),
    }
    scratch = _scratch(options.out, repr(made_of))
    written_whole.must_be_free(options.out)
    quiet.before_imports()
    from long_work.step_lines import StepLines  # transformers and torch, only once the corpus is known to be one
    from small_model import tokenizer, training

    spelling = tokenizer.learnt(examples, options.vocabulary)
    words = tokenizer.with_phrases(spelling, phrases)
    rows = training.rows(examples, words, spelling, shape)
    model = training.new_model(shape, words)
    print(f"small model: {model.num_parameters():,} weights, {len(rows):,} rows", file=sys.stderr, flush=True)
    facts = training.trained(model, words, rows, shape, scratch, [StepLines("small model")])
    if not math.isfinite(facts["held_out_loss"]):
        shutil.rmtree(scratch, ignore_errors=True)  # else the same command would go on from its last epoch
        raise CommandError(
            f"the training diverged: its held-out loss is {facts['held_out_loss']}; --learning-rate is "
            f"{shape.learning_rate:g}, a lower one may do"
        )
    with written_whole.folder(options.out) as folder:
        training.save(model, words, folder)
        json_file.write(folder / CARD, {**made_of, **facts})
    shutil.rmtree(scratch, ignore_errors=True)
    print(f"{options.out}: {facts['weights']:,} weights, held-out loss {facts['held_out_loss']} nats per token")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon small-model",
        description="Train a small language model from scratch on a corpus: a policy for runs on a few CPU cores. The "
        "same command goes on after the last epoch where it was stopped.",
        epilog='A row of the corpus: {"prompt": "text, or chat messages", "completion": "text"}.',
    )
    options.add_argument("corpus", type=Path, metavar="CORPUS.jsonl")
    options.add_argument(
        "--out", type=Path, required=True, help="the model's directory; checkpoints lie beside it until it is there"
    )
    options.add_argument("--steps", type=positive, default=600, help="optimiser steps (default 600)")
    options.add_argument("--batch", type=positive, default=32, help="rows per step (default 32)")
    options.add_argument("--learning-rate", type=above_zero, default=2e-3, help="at its highest (default 0.002)")
    options.add_argument(
        "--initial-std",
        type=above_zero,
        default=0.02,
        help="of the weights that training begins with (default 0.02); a narrow model that has to compare things "
        "learns it sooner from HIDDEN**-0.5",
    )
    options.add_argument("--hidden", type=positive, default=192, help="width, a multiple of 2·HEADS (default 192)")
    options.add_argument("--layers", type=positive, default=4, help="(default 4)")
    options.add_argument("--heads", type=positive, default=4, help="of attention (default 4)")
    options.add_argument(
        "--context", type=positive, default=1024, help="tokens of prompt and completion together (default 1024)"
    )
    options.add_argument(
        "--vocabulary",
        type=positive,
        default=2048,
        help="tokens of the tokenizer, at most; 258 are always there (default 2048)",
    )
    options.add_argument("--phrases", type=Path, metavar="FILE", help="a JSON list of texts that are one token each")
    options.add_argument("--seed", type=natural, default=0, help="(default 0)")
    return options


def _scratch(out: Path, setting: str) -> Path:
    """Return where an unfinished training is kept; one of another corpus or other settings has a place of its own."""
    digest = blake2b(setting.encode(errors="surrogatepass"), digest_size=6).hexdigest()
    return out.absolute().with_name(f".{out.absolute().name}.{digest}.training")
