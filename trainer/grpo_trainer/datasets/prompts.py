"""Prompts of your own, with references and context for the rewards: from a file, or a hub data set by its name."""

import csv
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from long_work import json_file

Row = dict[str, Any]


def load(
    *,
    path: str | None = None,
    hub: str | None = None,
    split: str = "train",
    column: str = "prompt",
    template: str | None = None,
    reference: str | None = None,
    context: list[str] | None = None,
    rows: Annotated[int, Field(ge=1)] | None = None,
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.05,
    seed: int = 0,
) -> tuple[list[Row], list[Row]]:
    """Return (train, validation) rows of prompt, reference and the context columns.

    Args:
        path: a JSONL, CSV or Parquet file.
        hub: a data set's hub name instead; the first use downloads it.
        split: of the hub's data set.
        column: what is asked: text, or chat messages.
        template: the prompt's text instead, with {COLUMN} where a column goes in; lists are joined with commas.
        reference: the column with the ground truth that a reward reads.
        context: columns that travel in each item's `context`.
        rows: how many prompts, the seed's choice; all where omitted.
        validation_share: of the prompts; no prompt is on both sides.
        seed: of the choice and of the split.

    Raises:
        ValueError: neither or both of path and hub, a row without a column that is named, or a file that is no CSV.
        OSError, CommandError: the file cannot be read, or the hub cannot be reached.
    """
    source = enumerate(_source(path, hub, split), 1)
    made = (_row(row, number, column, template, reference, context or []) for number, row in source)
    prompts = {json.dumps(row["prompt"], ensure_ascii=False): row for row in made}  # each once, in their order
    kept = list(prompts.values())
    random.Random(f"prompts {seed}").shuffle(kept)
    chosen = kept[:rows]
    held_out = round(validation_share * len(chosen))
    return chosen[held_out:], chosen[:held_out]


def _source(path: str | None, hub: str | None, split: str) -> Iterable[Row]:
    if path is not None and hub is None:
        return _file(Path(path).expanduser())
    if hub is not None and path is None:
        return _hub(hub, split)
    raise ValueError("give path, a JSONL, CSV or Parquet file, or hub, a data set's name; not both")


def _row(row: Row, number: int, column: str, template: str | None, reference: str | None, context: list[str]) -> Row:
    found: Row = {"prompt": _prompt(row, number, column, template)}
    if reference is not None:
        found["reference"] = _value(row, reference, number)
    return found | {name: _value(row, name, number) for name in context}


def _prompt(row: Row, number: int, column: str, template: str | None) -> Any:
    if template is None:
        prompt = _value(row, column, number)
    else:
        shown = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in row.items()}
        try:
            prompt = template.format(**shown)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"row {number} does not fill the template: {error}; it has: {', '.join(row)}") from None
    messages = isinstance(prompt, list) and all(isinstance(turn, dict) and "role" in turn for turn in prompt)
    if not prompt or not (messages or isinstance(prompt, str)):
        raise ValueError(f"row {number}: a prompt is text, or a list of chat messages")
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _value(row: Row, name: str, number: int) -> Any:
    if row.get(name) is None:
        raise ValueError(f"row {number} has no {name!r}; it has: {', '.join(row)}")
    return row[name]


def _file(path: Path) -> Iterable[Row]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows: list[Row] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".csv":
        return _csv(path)
    if path.suffix == ".jsonl":
        return json_file.read_rows(path)
    raise ValueError(f"{path}: the name of a file of prompts ends in .jsonl, .csv or .parquet")


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        try:
            for row in reader:
                if None in row:
                    raise ValueError(f"{path}, line {reader.line_num} has more cells than its first line names columns")
                yield row
        except csv.Error as error:
            said = "a .jsonl file takes texts of any length"
            raise ValueError(f"{path}, after line {reader.line_num}: {error}; {said}") from None


def _hub(name: str, split: str) -> Iterable[Row]:
    """Return a hub data set's rows; tried here with local directories only, for want of a hub."""
    import datasets

    return (dict(row) for row in datasets.load_dataset(name, split=split))
