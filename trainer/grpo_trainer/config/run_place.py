"""Where in a run file something is said: a place such as ("grpo", "learning_rate"), its line, its nearest name."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

Place = tuple[str | int, ...]
HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, as the end of a sentence; nothing when none is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def line_of(text: str, place: Place) -> int | None:
    """Return the line, from 1, where `place` is set; else that of the nearest table around it; else None."""
    table: Place = ()
    counts: dict[Place, int] = {}
    best: tuple[int, int] | None = None  # (how much of the place it covers, line)
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.fullmatch(line):
            table = tuple(part.strip(" '\"") for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            here = table
        elif key := re.match(r"""\s*(["']?)([\w.-]+)\1\s*=""", line):
            here = (*table, *key[2].split("."))
        else:
            continue
        if here and place[: len(here)] == here and (best is None or len(here) > best[0]):
            best = len(here), number
    return best[1] if best else None


def shown(place: Place) -> str:
    """Return ("policy", "lora", "r") as `policy.lora.r`, and an index of a list as its number from 1."""
    return ".".join(str(part) if isinstance(part, str) else f"{part + 1}" for part in place)
