"""A reply with what it is measured by, as `evaluate` writes it to scored.jsonl and `metrics` reads it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empathetic_recommender.recommender_error import RecommenderError
from long_work.json_file import placed_rows


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class CriticScore(_Row):
    """What the critic says of a reply; `value` is None where it failed."""

    value: float | None
    components: dict[str, float | None] = Field(default_factory=dict)


class ScoredReply(_Row):
    """A reply.

    Attributes:
        reference: the reply that it is compared with.
        titles: item → score, the higher the better.
        relevant: items that would be right.
        liked: those of them that the seeker liked.
    """

    reply: str
    reference: str
    titles: dict[str, float]
    relevant: list[str]
    liked: list[str]
    critic: CriticScore | None = None


def read(path: Path) -> list[ScoredReply]:
    """Return the rows of a JSONL file.

    Raises:
        CommandError: the file cannot be read; RecommenderError: a row is no reply with its scores.
    """
    return [checked(row, place) for place, row in placed_rows(path)]


def checked(row: dict[str, Any], place: str, columns: Iterable[str] = ()) -> ScoredReply:
    """Return one row, which may need further columns; raises RecommenderError, with its place, where it is none."""
    if missing := [name for name in columns if name not in row]:
        raise RecommenderError(f"{place}, {missing[0]}: Field required")
    try:
        return ScoredReply.model_validate(row)
    except ValidationError as error:
        problem = error.errors()[0]
        raise RecommenderError(f"{place}, {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
