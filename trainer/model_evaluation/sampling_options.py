"""The options of commands that ask models: whom, what, and how their answers are sampled."""

import argparse
from pathlib import Path

from long_work.real_number import from_zero, share_above_zero
from long_work.whole_number import natural, positive
from model_evaluation import prompts as prompt_source
from model_evaluation.answers.sampling import Sampling
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt

REWARD_URL = "http://127.0.0.1:8000"
MODEL = (
    "a hub id, a directory (a model, an adapter, a run of guerdon train), a GGUF file, package:NAME, or "
    "endpoint:URL#MODEL[,key_env=VARIABLE]"
)


def add(options: argparse.ArgumentParser, *, samples: int, reference: str) -> None:
    """Add those of a command that draws several completions of every prompt.

    Args:
        samples: completions of a prompt, by default.
        reference: what the reference column is for.
    """
    options.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[ARM[@SEED]=]ID",
        help=f"{MODEL}; repeat it for more arms, and for more seeds of an arm",
    )
    add_prompts(options, required=True, reference=reference)
    options.add_argument(
        "--template", metavar="TEXT", help="the prompt's text in the place of a column, with {COLUMN} where one goes in"
    )
    options.add_argument("--samples", type=positive, default=samples, help=f"of each prompt (default {samples})")
    add_sampling(options, temperature=1.0, top_p=1.0, max_tokens=256, batch=32)


def add_prompts(options: argparse.ArgumentParser, *, required: bool, reference: str) -> None:
    """Add what is asked, and where the results go; `reference` says what the reference column is for."""
    options.add_argument(
        "--prompts",
        required=required,
        metavar="FILE|dataset:NAME[:SPLIT]",
        help="JSONL, JSON, CSV or Parquet of strings or messages, or a Hugging Face dataset",
    )
    options.add_argument(
        "--column",
        help="the column of the prompts (default: prompt, messages, instruction, question or MT-Bench's turns)",
    )
    options.add_argument("--reference-column", metavar="COLUMN", help=reference)
    options.add_argument("--num", type=positive, default=50, help="prompts, drawn with the seed (default 50)")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results are kept")


def add_sampling(
    options: argparse.ArgumentParser, *, temperature: float, top_p: float, max_tokens: int, batch: int
) -> None:
    """Add how completions are drawn, with these defaults."""
    sampling = options.add_argument_group("sampling, the same for every model")
    sampling.add_argument("--seed", type=natural, default=42, help="of prompts, sampling and statistics (default 42)")
    sampling.add_argument(
        "--temperature", type=from_zero, default=temperature, help=f"0 is greedy (default {temperature})"
    )
    sampling.add_argument(
        "--top-p", type=share_above_zero, default=top_p, help=f"of nucleus sampling (default {top_p})"
    )
    sampling.add_argument(
        "--max-tokens", type=positive, default=max_tokens, help=f"of a completion (default {max_tokens})"
    )
    sampling.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="ends a completion; \\n is a newline"
    )
    sampling.add_argument(
        "--prompt-format",
        choices=("chat", "plain"),
        default="chat",
        help="chat: through the model's chat template; plain: as text that the model continues (default chat)",
    )
    sampling.add_argument(
        "--batch-size", type=positive, default=batch, help=f"prompts at a time, of local models (default {batch})"
    )


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
