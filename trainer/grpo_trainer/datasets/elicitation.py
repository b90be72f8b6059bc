"""Elicitation: which question comes next? Prompts of `guerdon collect`, with whom they were collected from."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from long_work.chat_turns import are_turns

Row = dict[str, Any]
CONTEXT = {"persona": str, "transcript": list, "pair_seed": int}
"""What the reward information_gain needs to know of a prompt."""
KEPT = ("scenario", "depth")
SPLITS = ("train", "validation")


def load(
    *,
    path: str = "runs/elicitation/prompts/prompts.jsonl",
    max_depth: Annotated[int, Field(ge=0)] | None = None,
    rows: Annotated[int, Field(ge=1)] | None = None,
) -> tuple[list[Row], list[Row]]:
    """Return (train, validation) rows, as the column `split` says; no persona is in both.

    Args:
        path: prompts.jsonl of `guerdon collect`.
        max_depth: leave out conversations with more questions than this.
        rows: of training at most, the first ones.

    Raises:
        ValueError: there is no such file, or a row lacks something.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(
            f"there are no prompts at {path}; `guerdon collect` makes them, and `path` says where they are"
        )
    made = [_row(line, f"{path}, line {number}") for number, line in enumerate(_lines(file), 1)]
    wanted = [row for row in made if max_depth is None or row["depth"] <= max_depth]
    train, validation = ([_without_split(row) for row in wanted if row["split"] == split] for split in SPLITS)
    return train[:rows], validation


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None


def _row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}") from None
    if not isinstance(row, dict) or not _is_prompt(row.get("prompt")):
        raise ValueError(f'{where} has no prompt: text, or a list of {{"role": …, "content": text}}')
    for name, kind in CONTEXT.items():
        if not isinstance(row.get(name), kind):
            raise ValueError(f"{where}: {name} is missing or no {kind.__name__}; information_gain needs it")
    if row.get("split") not in SPLITS:
        raise ValueError(f"{where}: split is {row.get('split')!r} instead of {' or '.join(SPLITS)}")
    depth = row.get("depth") or 0
    if not isinstance(depth, int) or depth < 0:
        raise ValueError(f"{where}: depth is how many questions were asked before, 0 or more, not {depth!r}")
    kept = ("prompt", *CONTEXT, *KEPT, "split")
    return {name: row.get(name) for name in kept} | {"reference": None, "depth": depth}


def _is_prompt(prompt: object) -> bool:
    return (isinstance(prompt, str) and bool(prompt)) or are_turns(prompt)


def _without_split(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "split"}
