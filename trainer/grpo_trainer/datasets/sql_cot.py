"""SQL-CoT: does a chain of thought fit its SQL? Rows from a file or a SQLite database, or the one that ships."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from grpo_trainer.sql_cot import car_dealership, row_file
from grpo_trainer.sql_cot.prompt import filled, template
from grpo_trainer.sql_cot.rows import Row, build, split

Target = Literal["embedding", "execution", "column"]
COLUMNS = {"execution": "execution_match", "column": "target"}


def load(
    *,
    path: str | None = None,
    database: str | None = None,
    rows: Annotated[int, Field(ge=2)] = 480,
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    seed: int = 0,
    target: Target = "embedding",
    prompt: str = "few_shot",
) -> tuple[list[Row], list[Row]]:
    """Return (train, validation) rows.

    Args:
        path: a JSONL or CSV file with the columns sql, cot and nl; see `guerdon sqlcot build`.
        database: a SQLite database to build rows from; the car dealership where there is neither.
        rows: how many to build.
        validation_share: of the rows; those of one query are never on both sides.
        seed: of the rows built and of the split.
        target: what the policy's score is held against. embedding: how similar the texts are, which the reward server
            computes; execution: 1 where the SQL gives what the reasoning describes, else 0; column: the file's target.
        prompt: few_shot, instruct (for chat models), or the path of a text file with {sql}, {cot} and {nl}.

    Raises:
        ValueError: the settings contradict each other, or the rows lack what they need.
    """
    text = template(prompt)
    found = _rows(path, database, rows, seed)
    made = [_made(row, number, text, target) for number, row in enumerate(found, 1)]
    return split(made, validation_share, seed)


def _rows(path: str | None, database: str | None, rows: int, seed: int) -> list[Row]:
    if path is not None and database is not None:
        raise ValueError("path and database are two sources of rows; give one")
    if path is not None:
        return row_file.read(Path(path).expanduser())
    source: AbstractContextManager[Path] = (
        nullcontext(Path(database).expanduser()) if database is not None else car_dealership.opened()
    )
    with source as file:
        return build(file, rows, seed)


def _made(row: Row, number: int, text: str, target: Target) -> Row:
    reference: Any = None
    if target != "embedding":
        reference = row[COLUMNS[target]]
        if reference is None:
            raise ValueError(f'row {number} has no {COLUMNS[target]}, which target = "{target}" needs')
        reference = float(reference)
    kept = {name: row[name] for name in ("sql", "cot", "nl", "corruption", "query_id")}
    return {"prompt": filled(text, row), "reference": reference, **kept}
