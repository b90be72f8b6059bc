"""Items whose scores are known: those that a kind brings, and those of its table in rewards.toml.

A kind's own hold whatever its settings are: a score that depends on them is left open there, and named in a table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from guerdon.messages import Group, Item, Range, Score
from reward_server.catalog import ConfigError, Served
from reward_server.rewards import Golden, Reward

WITHIN = 1e-6


@dataclass(frozen=True)
class Expectation:
    """One golden item.

    Attributes:
        name: which it is, for messages.
        value: the value expected; None where any within the declared range will do.
        within: the largest difference that passes.
    """

    name: str
    item: Item
    value: float | None
    within: float

    def complaint(self, score: Score, declared: Range | None) -> str | None:
        """Return what is wrong with a score; None: it is as expected."""
        if score.value is None:
            return f"{self.name} was not scored: {score.status}: {score.error}"
        if self.value is not None and not math.isclose(score.value, self.value, rel_tol=0, abs_tol=self.within):
            return f"{self.name} scored {score.value:.6g}, expected {self.value:.6g} within {self.within:g}"
        if declared is not None and not _holds(declared, score.value, self.within):
            return f"{self.name} scored {score.value:.6g}, outside of the declared range {declared.low}…{declared.high}"
        return None


def expectations(served: Served) -> list[list[Expectation]]:
    """Return the golden items; of a group reward every list is one group.

    Raises:
        ConfigError: a `golden` entry of the table is no item with a value.
    """
    own = [_known(number, golden) for number, golden in enumerate(served.kind.golden, 1)]
    table = [_entry(served.name, number, entry) for number, entry in enumerate(served.keeping.golden, 1)]
    grouped = isinstance(served.kind, Reward) and served.scope == "group"
    return [_one_group(some) if grouped else some for some in [*own, table] if some]


def _known(number: int, golden: Golden) -> list[Expectation]:
    pairs = zip(golden.items, golden.values, strict=True)
    return [
        Expectation(f"golden item {number}.{index} of the kind", Item.model_validate(fields), value, golden.within)
        for index, (fields, value) in enumerate(pairs, 1)
    ]


def _entry(name: str, number: int, entry: Mapping[str, Any]) -> Expectation:
    fields = {key: value for key, value in entry.items() if key not in ("value", "within")}
    value, within = entry.get("value"), entry.get("within", WITHIN)
    for key, given in (("value", value if value is not None else 0), ("within", within)):
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            raise ConfigError(f"[{name}] golden {number}: {key} is a number, not {given!r}")
    try:
        return Expectation(f"golden {number} of the table", Item.model_validate(fields), value, within)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"[{name}] golden {number}: {where}: {first['msg']}") from error


def _one_group(some: Sequence[Expectation]) -> list[Expectation]:
    """Make the items one group, in order, unless they say themselves to which groups they belong."""
    if any(one.item.group is not None for one in some):
        return list(some)
    return [
        Expectation(one.name, one.item.model_copy(update={"group": Group(id="golden", size=len(some), slot=slot)}),
                    one.value, one.within)
        for slot, one in enumerate(some)
    ]  # fmt: skip


def _holds(declared: Range, value: float, within: float) -> bool:
    low = -math.inf if declared.low is None else declared.low
    high = math.inf if declared.high is None else declared.high
    return low - within <= value <= high + within
