"""The options of commands that draw several completions of every prompt: from whom, of what, and how."""

import argparse
from pathlib import Path

from model_evaluation import judge_options
from model_evaluation import prompts as prompt_source
from model_evaluation.answers.sampling import Sampling
from model_evaluation.compare import share, whole
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.judge_options import positive
from model_evaluation.prompts import Prompt

REWARD_URL = "http://127.0.0.1:8000"


def add(options: argparse.ArgumentParser, *, samples: int, reference: str) -> None:
    """Add them; `reference` says what the reference column is for."""
    options.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[ARM[@SEED]=]ID",
        help="a hub id, a directory (a model, an adapter, a run of guerdon train), a GGUF file, package:NAME, or "
        "endpoint:URL#MODEL[,key_env=VARIABLE]; repeat it for more arms, and for more seeds of an arm",
    )
    options.add_argument(
        "--prompts",
        required=True,
        metavar="FILE|dataset:NAME[:SPLIT]",
        help="JSONL, JSON, CSV or Parquet, or a Hugging Face dataset",
    )
    options.add_argument("--column", help="the column of the prompts (default: prompt, messages, instruction, …)")
    options.add_argument(
        "--template", metavar="TEXT", help="the prompt's text in the place of a column, with {COLUMN} where one goes in"
    )
    options.add_argument("--reference-column", metavar="COLUMN", help=reference)
    options.add_argument("--num", type=positive, default=50, help="prompts, drawn with the seed (default 50)")
    options.add_argument("--samples", type=positive, default=samples, help=f"of each prompt (default {samples})")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results are kept")
    sampling = options.add_argument_group("sampling, the same for every model")
    sampling.add_argument("--seed", type=whole, default=42, help="of prompts, draws and statistics (default 42)")
    sampling.add_argument("--temperature", type=judge_options.amount, default=1.0, help="(default 1.0)")
    sampling.add_argument("--top-p", type=share, default=1.0, help="of nucleus sampling (default 1.0: everything)")
    sampling.add_argument("--max-tokens", type=positive, default=256, help="of a completion (default 256)")
    sampling.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="ends a completion; \\n is a newline"
    )
    sampling.add_argument(
        "--prompt-format",
        choices=("chat", "plain"),
        default="chat",
        help="chat: through the model's chat template; plain: as text that the model continues (default chat)",
    )
    sampling.add_argument("--batch-size", type=positive, default=32, help="prompts at a time (default 32)")


def sampling(options: argparse.Namespace) -> Sampling:
    return Sampling(
        seed=options.seed,
        temperature=options.temperature,
        top_p=options.top_p,
        max_tokens=options.max_tokens,
        stop=tuple(text.replace("\\n", "\n") for text in options.stop),
        prompt_format=options.prompt_format,
    )


def prompts(options: argparse.Namespace) -> list[Prompt]:
    """Return the prompts that were asked for.

    Raises:
        EvaluationError: there are none, or not so many.
    """
    if options.template is None:
        every = prompt_source.read(options.prompts, options.column, options.reference_column)
    else:
        every = filled(options.prompts, options.template, options.reference_column)
    return prompt_source.sampled(every, options.num, options.seed, options.prompts)


def filled(source: str, template: str, reference: str | None) -> list[Prompt]:
    """Return every different prompt that a source's rows make of a template; lists are joined with commas.

    Raises:
        EvaluationError: the template names a column that a row does not have.
    """
    made: dict[str, Prompt] = {}
    for number, row in enumerate(prompt_source.rows(source), 1):
        shown = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in row.items()}
        where = f"{source}, row {number}"
        if reference is not None and shown.get(reference) is None:
            raise EvaluationError(f"{where} has no column {reference!r}; it has: {', '.join(row)}")
        try:
            text = template.format(**shown)
        except (KeyError, IndexError, ValueError) as error:
            raise EvaluationError(f"{where} does not fill --template: {error}; it has: {', '.join(row)}") from None
        prompt = prompt_source.parsed(text, where, None if reference is None else str(shown[reference]))
        made.setdefault(prompt.id, prompt)
    return list(made.values())
