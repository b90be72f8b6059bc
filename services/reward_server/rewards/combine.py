"""Several served rewards as one."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guerdon.messages import Range, Score
from reward_server.rewards import Item, Reward, Scope

NO_SPREAD = "the same for all members of the group, so that none is better by it: counts as 0"


class Term(BaseModel):
    """One of the rewards that are combined."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    reward: str = Field(min_length=1)
    """The name of a served reward."""
    weight: float = 1.0
    """What its value is multiplied by."""
    standardise: bool = False
    """Count its distance from the group's mean in the group's standard deviations; only in a sum."""

    @property
    def standardised(self) -> str:
        """The component that holds the standardised value."""
        return f"{self.reward}.standardised"


class Combine(Reward):
    """The weighted sum or the product of other served rewards, whose values and components all stay visible.

    `sum`: Σ weight·value. A standardised term counts (value - mean) / population standard deviation, over the members
    of the group that have every term; 0 where they all have the same value. `product`: Π weight·value, of values of at
    least 0: below it a worse answer could earn more, so that such an item is refused. An item that lacks a term has no
    value either and fails as the term did. Where a term is standardised or scores whole groups, so does this.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    range: ClassVar[Range] = Range(low=None, high=None, better="higher")

    terms: tuple[Term, ...] = Field(min_length=1)
    """The rewards: `{ reward = "NAME", weight = 1.0, standardise = false }` each."""
    mode: Literal["sum", "product"] = "sum"
    """How the terms become one value."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        names = self.needs()
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the terms name {twice!r} more than once; give it the sum of the weights")
        if self.mode == "product" and any(term.standardise for term in self.terms):
            raise ValueError('a product of standardised terms rewards what both rate low; use mode = "sum"')
        if self.mode == "product" and any(term.weight <= 0 for term in self.terms):
            raise ValueError("the weights of a product are factors, and lie above 0")
        return self

    def needs(self) -> tuple[str, ...]:
        return tuple(term.reward for term in self.terms)

    def served_scope(self, needed: Mapping[str, Scope]) -> Scope:
        whole_groups = any(term.standardise for term in self.terms) or "group" in needed.values()
        return "group" if whole_groups else "item"

    def served_components(self) -> dict[str, Range]:
        """Return the terms; their own components are there as NAME/COMPONENT, as their rewards declare them."""
        standardised = {term.standardised: Range() for term in self.terms if term.standardise}
        return {name: Range() for name in self.needs()} | standardised

    def score(self, items: list[Item]) -> list[Score]:
        failures = [self._failure(item) for item in items]
        scored = iter(self._scored([item for item, failure in zip(items, failures, strict=True) if failure is None]))
        return [next(scored) if failure is None else failure for failure in failures]

    def _failure(self, item: Item) -> Score | None:
        for name in self.needs():
            score = item.scores[name]
            if not score.ok:
                return Score.failed(score.status, f"{name}: {score.error}")
        return None

    def _scored(self, items: list[Item]) -> list[Score]:
        """Score items that have every term; where terms are standardised, what is left of one group."""
        if len(items) == 1 and any(term.standardise for term in self.terms):
            return [Score.failed("invalid_input", "one member has every term; to standardise takes two")]
        counted = [self._counted(term, items) for term in self.terms]
        return [self._combined(item, [column[i] for column in counted]) for i, item in enumerate(items)]

    def _counted(self, term: Term, items: Sequence[Item]) -> list[float | None]:
        """Return what each item counts under a term; None throughout where a standardised term has no spread."""
        values = [value for item in items if (value := item.scores[term.reward].value) is not None]
        return [*(standardised(values) if term.standardise else values)]

    def _combined(self, item: Item, counted: Sequence[float | None]) -> Score:
        """Combine one item's terms."""
        components, notes = shown(item.scores, self.needs())
        for term, value in zip(self.terms, counted, strict=True):
            if term.standardise:
                components[term.standardised] = value
                notes |= {term.standardised: NO_SPREAD} if value is None else {}
        parts = [(value or 0.0) * term.weight for term, value in zip(self.terms, counted, strict=True)]
        if self.mode == "product" and min(parts) < 0:
            name = self.terms[parts.index(min(parts))].reward
            why = f'{name} is {components[name]}, and a product takes values of at least 0; use mode = "sum"'
            return Score.failed("invalid_input", why)
        value = math.prod(parts) if self.mode == "product" else sum(parts)
        if not math.isfinite(value):
            return Score.failed("model_error", f"the {self.mode} of the terms is not finite")
        return Score(value=value, components=components, notes=notes)


def standardised(values: Sequence[float]) -> list[float] | list[None]:
    """Return (value - mean) / population standard deviation, as scikit-learn's StandardScaler; Nones without a spread.

    There is none where the variance is what rounding the mean leaves of equal values, by the bound of Chan et al. 1983.
    """
    count = len(values)
    mean = math.fsum(values) / count if values else 0.0
    variance = math.fsum((value - mean) ** 2 for value in values) / max(1, count)
    rounding = count * sys.float_info.epsilon
    if variance <= rounding * variance + (rounding * mean) ** 2:
        return [None] * count
    deviation = math.sqrt(variance)
    return [(value - mean) / deviation for value in values]


def shown(scores: Mapping[str, Score], names: Sequence[str]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return (components, notes) that show the named scores: each value as NAME, what it has as NAME/COMPONENT."""
    components: dict[str, float | None] = {name: scores[name].value for name in names}
    notes: dict[str, str] = {}
    for name in names:
        components |= {f"{name}/{component}": value for component, value in scores[name].components.items()}
        notes |= {f"{name}/{component}": note for component, note in scores[name].notes.items()}
    return components, notes
