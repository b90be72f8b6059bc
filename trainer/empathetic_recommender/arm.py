"""One policy's arm of a report: the folder that `evaluate` and `simulate` wrote into."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from empathetic_recommender import scored_reply
from empathetic_recommender.recommender_error import RecommenderError
from long_work import json_file


def read(folder: Path) -> dict[str, Any]:
    """Return what `evaluate` and, if it was there, `simulate` left in a folder.

    Raises:
        CommandError: there is nothing by `evaluate`, or it is not what it writes.
    """
    if not (folder / "metrics.json").exists() or not (folder / "scored.jsonl").exists():
        what = "lacks metrics.json or scored.jsonl" if folder.is_dir() else "is no directory"
        raise RecommenderError(f"{folder} {what}; `guerdon recommender evaluate --out {folder} …` makes both")
    simulation = folder / "simulation.json"
    placed = json_file.placed_rows(folder / "scored.jsonl")
    for place, row in placed:
        scored_reply.checked(row, place, ("id", "conversation"))
    return {
        "metrics": _table(folder / "metrics.json", "metrics", "scored_by"),
        "rows": {row["id"]: row for _, row in placed},
        "simulation": _table(simulation, "success_rate", "ends") if simulation.exists() else None,
    }


def _table(path: Path, *keys: str) -> dict[str, Any]:
    found = json_file.read(path)
    if not isinstance(found, dict) or any(key not in found for key in keys):
        raise RecommenderError(
            f"{path} is not as `guerdon recommender` writes it: it should have {' and '.join(keys)}. The command that "
            "made it writes it anew, and keeps the answers that it has"
        )
    return found


def hold_critic(arms: Mapping[Path, Mapping[str, Any]]) -> None:
    """Make sure that one critic scored all arms: between two critics' values lies no change of the policy.

    Args:
        arms: what `read` returns, by folder; arms that no critic scored are not compared.

    Raises:
        RecommenderError: two versions did.
    """
    scored = [(folder, by["version"]) for folder, one in arms.items() if (by := one["metrics"]["scored_by"])]
    for folder, version in scored[1:]:
        if version != scored[0][1]:
            raise RecommenderError(
                f"{scored[0][0]} was scored by a critic of version {scored[0][1]}, {folder} by {version}: their values "
                "cannot be compared. `guerdon recommender evaluate`, given again with the --reward-url of one server "
                "for both, keeps the replies and has them scored anew"
            )
