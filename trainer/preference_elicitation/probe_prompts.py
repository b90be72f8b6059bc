"""The prompts in which arms are asked: rows of prompts.jsonl, or the openings of a file of scenarios."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from long_work.chat_turns import are_turns
from long_work.json_file import placed_rows
from preference_elicitation import catalogue
from preference_elicitation.dialogue import opened, prompt
from preference_elicitation.elicitation_error import ElicitationError

OTHERS = 5
"""Personas that a candidate of best-of-N is tried on."""
COLUMNS = {"scenario": str, "depth": int, "split": str, "persona": str, "pair_seed": int}
EXCHANGE = ("question", "answer")
ALL = "all"
Row = dict[str, Any]


def read(path: Path, split: str, limit: int | None, seed: int) -> list[Row]:
    """Return the rows to ask in, in the order of scenario and depth: those of a split, or `limit` of them (`spread`).

    A file of scenarios has no splits.

    Raises:
        CommandError: there are none, the file cannot be read, or a row is no prompt of `guerdon collect`.
    """
    rows = [row for row in _every(path, seed) if split == ALL or row.get("split", split) == split]
    if not rows:
        raise ElicitationError(f"{path} has no prompts with split = {split!r}")
    return rows if limit is None else spread(rows, limit, seed)


def spread(rows: Sequence[Row], limit: int, seed: int) -> list[Row]:
    """Return `limit` rows at most, in the order that they have: depths, and personas in them, in the share of all rows.

    Every k-th row of scenario and depth would do the opposite, take one depth only, where depths divide k. So places
    are counted off within each depth, through its personas and each one's rows in an order drawn from the seed.
    """

    def drawn(*named: object) -> float:
        return random.Random(" ".join(map(str, (seed, *named)))).random()

    def stratum(place: int) -> tuple[int, float, float]:
        row = rows[place]
        depth, persona = row["depth"], row["persona"]
        return depth, drawn(depth, persona), drawn(depth, persona, row["scenario"])

    places = sorted(range(len(rows)), key=stratum)
    number = min(limit, len(rows))
    return [rows[place] for place in sorted(places[len(rows) * nth // number] for nth in range(number))]


def others(path: Path, rows: Sequence[Row]) -> list[str]:
    """Return personas to try candidates on: some that are not probed, or of those that are, where all of them are."""
    probed = {row["persona"]: None for row in rows}
    every = dict.fromkeys(row["persona"] for row in _every(path, 0))
    return [name for name in every if name not in probed][:OTHERS] or list(probed)[: OTHERS + 1]


def tried_on(row: Row, others: Sequence[str]) -> list[str]:
    """Return on which of the others the candidates for a row are tried: never on the persona who will answer.

    Raises:
        ElicitationError: there is nobody else.
    """
    found = [name for name in others if name != row["persona"]][:OTHERS]
    if not found:
        raise ElicitationError(
            f"best-of-N tries its questions on other personas than {row['persona']}, who is to answer, and the "
            "prompts have no other; give prompts of two personas at least, or leave that arm out"
        )
    return found


def _every(path: Path, seed: int) -> list[Row]:
    if path.suffix == ".jsonl":
        rows = [_checked(row, place) for place, row in placed_rows(path)]
    else:
        rows = [_opening(one, seed + place) for place, one in enumerate(catalogue.scenarios(path))]
    return sorted(rows, key=lambda row: (row["scenario"], row["depth"]))


def _opening(scenario: catalogue.Scenario, pair_seed: int) -> Row:
    said = opened(scenario)
    return {
        "scenario": said.scenario,
        "depth": 0,
        "persona": said.persona,
        "prompt": prompt(said.turns),
        "transcript": [turn.model_dump() for turn in said.turns],
        "pair_seed": pair_seed,
    }


def _checked(row: Row, place: str) -> Row:
    for name, kind in COLUMNS.items():
        if not isinstance(row.get(name), kind):
            raise ElicitationError(f"{place}: {name} is {row.get(name)!r}; a row is one that `guerdon collect` writes")
    if not _is_transcript(row.get("transcript")):
        raise ElicitationError(f'{place}: transcript should be [{{"question": "text", "answer": "text"}}, …]')
    if not are_turns(row.get("prompt")):
        raise ElicitationError(f'{place}: prompt should be [{{"role": "user", "content": "text"}}, …]')
    return row


def _is_transcript(found: Any) -> bool:
    """Return whether it is a list of exchanges, one at least."""
    if not isinstance(found, list) or not found:
        return False
    return all(isinstance(one, dict) and all(isinstance(one.get(key), str) for key in EXCHANGE) for one in found)
