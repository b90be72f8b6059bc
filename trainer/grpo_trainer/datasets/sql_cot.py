"""SQL-CoT: does a chain of thought fit its SQL? Rows from a file or a SQLite database, or the one that ships."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

from pydantic import Field

from grpo_trainer.sql_cot import car_dealership, row_file, targets
from grpo_trainer.sql_cot.prompt import filled, template
from grpo_trainer.sql_cot.rows import Row, build, split
from grpo_trainer.sql_cot.targets import Target


def load(
    *,
    path: str | None = None,
    validation_path: str | None = None,
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
        validation_path: a second such file, whose rows are the validation rows, instead of a share of the first.
        database: a SQLite database to build rows from; the car dealership where there is neither.
        rows: how many to build.
        validation_share: of the rows; those of one query are never on both sides.
        seed: of the rows built and of the split.
        target: what the policy's score is held against. embedding: how similar the texts are, which the reward server
            computes; execution: 1 where the SQL gives what the reasoning describes, else 0; column: the file's target.
        prompt: few_shot, instruct (for chat models), short (for small models trained on it), or the path of a text
            file with {sql}, {cot} and {nl}.

    Raises:
        ValueError: the settings contradict each other, the rows lack what they need, or a query is in both files.
    """
    text = template(prompt)
    if validation_path is None:
        return split(_made(_rows(path, database, rows, seed), text, target), validation_share, seed)
    if path is None:
        raise ValueError("validation_path goes with path, the file of the training rows; give both")
    train, validation = row_file.read(Path(path).expanduser()), row_file.read(Path(validation_path).expanduser())
    if leaked := {row["query_id"] for row in train} & {row["query_id"] for row in validation}:
        raise ValueError(f"{path} and {validation_path} share {len(leaked)} queries, e.g. {min(leaked)}")
    return _made(train, text, target), _made(validation, text, target)


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


def _made(rows: list[Row], text: str, target: Target) -> list[Row]:
    """Return the dataset's rows; without a reference, the reward server computes the embedding target itself."""
    references = [None] * len(rows) if target == "embedding" else targets.of(rows, target)
    return [
        {
            "prompt": filled(text, row),
            "reference": reference,
            **{name: row[name] for name in ("sql", "cot", "nl", "corruption", "query_id")},
        }
        for row, reference in zip(rows, references, strict=True)
    ]
