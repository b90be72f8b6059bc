"""Completions that exist already, in AlpacaEval's form: [{"instruction": …, "output": …, "generator": …}, …]."""

from collections.abc import Sequence
from pathlib import Path

from model_evaluation import row_file
from model_evaluation.answers.completion import Completion
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt, parsed


def generator(path: str) -> str:
    """Return the name of the model that wrote the outputs; the file's own name where it says none.

    Raises:
        EvaluationError: the file cannot be read, or is of several models.
    """
    names = {str(row["generator"]) for row in _rows(path) if row.get("generator")}
    if len(names) > 1:
        raise EvaluationError(f"{path} has outputs of several generators: {', '.join(sorted(names))}; one a file")
    return names.pop() if names else Path(path).stem


def prompts(path: str) -> list[Prompt]:
    """Return the different prompts that were answered, in the file's order.

    Raises:
        EvaluationError: as `generator`.
    """
    return [prompt for prompt, _ in _pairs(path).values()]


def completions(path: str, wanted: Sequence[Prompt]) -> list[Completion]:
    """Return the file's answers to these prompts, in their order.

    Raises:
        EvaluationError: some are not answered.
    """
    found = _pairs(path)
    if missing := [prompt for prompt in wanted if _question(prompt) not in found]:
        raise EvaluationError(
            f"{path} answers {len(wanted) - len(missing)} of the {len(wanted)} prompts; without --prompts, those that "
            "every file of outputs answers are taken"
        )
    return [Completion(prompt.id, found[_question(prompt)][1]) for prompt in wanted]


def _question(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    return prompt.turns  # the same instruction may stand in another file with a reference


def _pairs(path: str) -> dict[tuple[tuple[str, str], ...], tuple[Prompt, str]]:
    found: dict[tuple[tuple[str, str], ...], tuple[Prompt, str]] = {}
    for number, row in enumerate(_rows(path), 1):
        prompt = parsed(row["instruction"], f"{path}, row {number}")
        output = row_file.text(row, "output", f"{path}, row {number}")
        found.setdefault(_question(prompt), (prompt, output))
    return found


def _rows(path: str) -> list[row_file.Row]:
    rows = row_file.read(Path(path).expanduser())
    row_file.require(rows, ("instruction", "output"), path)
    return rows
