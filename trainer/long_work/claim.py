"""What records were made of, said in a file beside them: a command goes on with records of its own making only."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from long_work import json_file
from long_work.command_error import CommandError

Making = Mapping[str, Any]
"""What records depend on, by name, as JSON values; whatever changes none of them has no place in it."""
SHOWN = 3
LONGEST = 100
DIGEST = re.compile(r"([0-9a-f]{12})[0-9a-f]{20,}")


def beside(records: Path) -> Path:
    """Return where the claim of a journal lies: replies.made_of.json beside replies.jsonl."""
    return records.with_name(f"{records.stem}.made_of.json")


def stake(records: Path, own: Making, place: Path | None = None) -> None:
    """Claim records for what is made now; where there are none yet, whatever was claimed before is forgotten.

    Args:
        place: of the claim, if not `beside` the records.

    Raises:
        CommandError: the records were made of something else, or nobody knows of what.
    """
    place = place or beside(records)
    if records.exists() and records.stat().st_size:
        hold(records, read(place, records), own)
    json_file.write(place, own)


def read(place: Path, records: Path) -> Making:
    """Return what records were made of; raises as `stake` does where that is not known."""
    try:
        found = json_file.read(place)
    except CommandError as error:
        raise CommandError(f"nobody knows what {records} was made of: {error}. {_remedy(records)}") from None
    if not isinstance(found, dict):
        raise CommandError(f"nobody knows what {records} was made of: {place} is no JSON object. {_remedy(records)}")
    return found


def hold(records: Path, before: Making, own: Making) -> None:
    """Compare two makings; what only one of them names differs.

    Raises:
        CommandError: they differ; the message says in what, and what to do.
    """
    was, now = _flat(before), _flat(own)
    differ = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    if not differ:
        return
    said = [f"{name} was {_shown(was.get(name))} and is {_shown(now.get(name))}" for name in differ[:SHOWN]]
    more = [f"{len(differ) - SHOWN} more differ"] if len(differ) > SHOWN else []
    raise CommandError(f"{records} was made otherwise: {'; '.join([*said, *more])}. {_remedy(records)}")


def _remedy(records: Path) -> str:
    return f"Choose another --out; or give the command as it was; or delete {records.name}, and all is made anew"


def _flat(making: Making, above: str = "") -> dict[str, Any]:
    """Return values by their names, those of tables as "table.name"."""
    found: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(making)).items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def _shown(value: Any) -> str:
    text = DIGEST.sub(r"\1…", json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
