"""Sizes of one run: the tables `[size.NAME.SECTION]` of a run file, laid over the sections that state its real size."""

from collections.abc import Mapping
from typing import Any

from grpo_trainer.config.run_place import Place, nearest, sentence

REAL = "real"
"""The file's own sections, without a size laid over them."""
SMOKE = "smoke"

Table = dict[str, Any]


class SizeError(Exception):
    """The file has no such size, or none that is a table; the message says which there are."""


def taken(table: Table) -> dict[str, Table]:
    """Take the sizes out of the file's table: name -> what it lays over the file.

    Raises:
        SizeError: `size` is not a table of tables, or one of them is named as the file itself is.
    """
    sizes = table.pop("size", {})
    if not isinstance(sizes, dict) or not all(isinstance(size, dict) for size in sizes.values()):
        raise SizeError("a size is written as tables such as [size.proof.grpo]")
    if REAL in sizes:
        raise SizeError(f"the sections of the file itself are its real size; write there what [size.{REAL}] says")
    return sizes


def chosen(name: str, sizes: Mapping[str, Table]) -> Table:
    """Return what the size lays over the file; nothing for the real size.

    Raises:
        SizeError: there is none of that name.
    """
    if name == REAL:
        return {}
    if name not in sizes:
        said = sentence(f"there is no size {name!r}{nearest(name, [*sizes, REAL])}")
        raise SizeError(f"{said} Its sizes: {', '.join([REAL, *sizes])}")
    return sizes[name]


def overlaid(table: Mapping[str, Any], size: Mapping[str, Any]) -> Table:
    """Return `table` with `size` over it: tables are merged, everything else, lists too, is replaced.

    A dataset's settings belong to the dataset, so one of another name begins without those of the first.
    """
    merged = dict(table)
    for key, value in size.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not (key == "dataset" and _another(value, below)):
            merged[key] = overlaid(below, value)
        else:
            merged[key] = value
    return merged


def says(size: Mapping[str, Any], place: Place) -> bool:
    """Return whether it is the size, not the file below it, that says what is at `place`."""
    here: Any = size
    for part in place:
        if isinstance(here, list):
            return True  # a list replaces all of the file's
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return bool(place)


def _another(dataset: Table, below: Table) -> bool:
    return "name" in dataset and dataset["name"] != below.get("name")
