"""Who is probed: a saved policy, a random question of the bank, or the best of a policy's questions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from preference_elicitation.elicitation_error import ElicitationError

NAMED = re.compile(r"(?P<name>[\w.-]+)(?:/(?P<seed>\d+))?=(?P<rest>.+)", re.DOTALL)
BEST = re.compile(r"best-of-(?P<n>\d+):(?P<source>.+)", re.DOTALL)


@dataclass(frozen=True)
class Arm:
    """One way to choose the next question.

    Attributes:
        name: in the report; arms of one name are one policy, trained with several seeds.
        seed: of its training, where the name has several.
        source: a model; "" for the bank.
        best_of: how many of the model's questions the one with the highest expected gain is chosen from.
    """

    name: str
    seed: int | None
    kind: Literal["model", "random", "best"]
    source: str = ""
    best_of: int = 1

    @property
    def key(self) -> str:
        return self.name if self.seed is None else f"{self.name}/{self.seed}"


def parsed(text: str) -> Arm:
    """Return the arm that [NAME[/SEED]=]MODEL, [NAME=]random or [NAME=]best-of-N:MODEL names.

    Raises:
        ElicitationError: N is less than two.
    """
    named = NAMED.fullmatch(text)
    name, source = (named["name"], named["rest"]) if named else (text.rstrip("/"), text)
    seed = int(named["seed"]) if named and named["seed"] else None
    if source == "random":
        return Arm(name, seed, "random")
    best = BEST.fullmatch(source)
    if best is None:
        return Arm(name, seed, "model", source)
    if int(best["n"]) < 2:
        raise ElicitationError(f"{text}: the best of {best['n']} questions is no choice; give 2 or more")
    return Arm(name, seed, "best", best["source"], int(best["n"]))


def all_of(texts: Sequence[str]) -> list[Arm]:
    """Return every arm.

    Raises:
        ElicitationError: two have one name and seed.
    """
    arms = [parsed(text) for text in texts]
    keys = [arm.key for arm in arms]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ElicitationError(f"two arms are called {twice!r}; name them: before={twice} after/0=…")
    return arms
