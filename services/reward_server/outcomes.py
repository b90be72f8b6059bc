"""Read what a worker, or a kind run in its place, found out about items."""

from collections.abc import Sequence

from pydantic import ValidationError

from guerdon.messages import Score
from reward_server.boundary import Outcome, failure, outcomes
from reward_server.content import Fields
from reward_server.rewards import Answer, Item, Kind


def as_score(outcome: Outcome) -> Score:
    try:
        return Score.model_validate(outcome)
    except ValidationError:
        return Score.failed("model_error", "the worker's outcome is no score")


def as_scores(outcome: Outcome, size: int) -> list[Score]:
    """Return the scores of a group's members; its failure is the failure of all."""
    if outcome["status"] != "ok":
        return [as_score(outcome)] * size
    members = outcome.get("members", [])
    if len(members) != size:
        return [Score.failed("model_error", f"{len(members)} scores for {size} members")] * size
    return [as_score(member) for member in members]


def as_answer(outcome: Outcome) -> Answer:
    """Return what a reward scored or a writer wrote."""
    if outcome["status"] == "ok" and isinstance(outcome.get("text"), str):
        return str(outcome["text"])
    return as_score(outcome)


def outcomes_here(kind: Kind, contents: Sequence[Fields]) -> list[Outcome]:
    """Run a kind that needs no worker."""
    try:
        return outcomes(kind, [Item.from_fields(content) for content in contents])
    except Exception as error:  # noqa: BLE001 - the boundary: a question that is no item
        failed = failure(error)
        return [{"status": failed.status, "error": failed.error} for _ in contents]
