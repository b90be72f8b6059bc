"""The options by which `evaluate` and `filter` say how a policy is asked."""

import argparse
from typing import Any

from long_work.real_number import from_zero
from long_work.whole_number import positive


def add_to(options: argparse.ArgumentParser, *, samples: int, temperature: float) -> None:
    how = options.add_argument_group("how a policy is asked", "A run's directory says the first four itself.")
    how.add_argument("--prompt", help="template: instruct (default), few_shot, short, or a text file's path")
    how.add_argument("--format", choices=("chat", "plain"), help="chat (default): prompts are a user's messages")
    how.add_argument("--end-of-turn", metavar="TEXT", help="one more text that ends a completion")
    how.add_argument("--max-tokens", type=positive, metavar="N", help="of a completion (default 256)")
    how.add_argument(
        "--samples",
        type=positive,
        default=samples,
        metavar="N",
        help=f"completions a row; its score is the mean of the valid ones (default {samples})",
    )
    how.add_argument(
        "--temperature", type=from_zero, default=temperature, help=f"0 is greedy (default {temperature:g})", metavar="T"
    )
    how.add_argument("--seed", type=int, default=0)
    how.add_argument("--batch", type=positive, default=64, metavar="N", help="rows at a time (default 64)")


def said(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says about the policy, for `scoring_policy.asking`."""
    return {
        "prompt": arguments.prompt,
        "form": arguments.format,
        "end_of_turn": arguments.end_of_turn,
        "max_tokens": arguments.max_tokens,
    }


def drawing(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how completions are drawn, for `row_scores.Drawing`.

    Raises:
        ValueError: several greedy samples, which would all be one.
    """
    if arguments.samples > 1 and arguments.temperature == 0:
        raise ValueError("several samples at --temperature 0 are all the same; give --temperature 1, or --samples 1")
    return {name: getattr(arguments, name) for name in ("samples", "temperature", "seed", "batch")}
