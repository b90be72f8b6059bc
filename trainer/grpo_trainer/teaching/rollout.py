"""The completions of one step: a row each, with terms, status and advantage, and the record made of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grpo_trainer.teaching import signals
from guerdon.messages import Item, RewardInfo
from guerdon.step_scores import StepScores

Row = dict[str, Any]


def rows(scores: StepScores, advantages: Sequence[float], tokens: Sequence[int]) -> list[Row]:
    """Return one rank's completions as rows; `term/X` is weighted by `weight/X`, `X/COMPONENT` is as it was served.

    `version/X` and `request/X` say which version of X was asked, and by which request of the servers' log lines.
    """
    return [
        _row(scores, index, item) | {"advantage": advantage, "completion_tokens": length}
        for index, (item, advantage, length) in enumerate(zip(scores.items, advantages, tokens, strict=True))
    ]


def record(batch: Sequence[Row], served: Mapping[str, RewardInfo], weights: Mapping[str, float], scaled: bool) -> Row:
    """Return the part of the ledger's line that the step's completions decide: signals, components, lengths."""
    terms = {name: _column(batch, taught(batch, name)) for name in weights}
    earned = np.array([_column(batch, f"term/{name}") for name in weights]).sum(axis=0)
    groups = group_codes(batch)
    lengths = _column(batch, "completion_tokens")
    now = {name: batch[-1].get(f"weight/{name}", weight) for name, weight in weights.items()}
    highs = {name: upper_bound(served[name], weight) for name, weight in now.items()}
    return {
        **signals.of_step(terms, groups, lengths, scaled=scaled, highs=highs, earned=earned),
        "components": {name: signals.stats(_column(batch, name)) for name in component_columns(served, weights)},
        "completion_tokens": signals.stats(lengths),
        "completions": len(batch),
        "weights": now,
    }


def taught(batch: Sequence[Row], name: str) -> str:
    """Return the column of the term that was trained on: as it was served, or with a part of it imputed."""
    return imputed if (imputed := f"imputed/{name}") in batch[0] else f"term/{name}"


def group_codes(batch: Sequence[Row]) -> signals.Groups:
    """Return (N,) which group each row is of, numbered from 0."""
    codes = {group: code for code, group in enumerate(dict.fromkeys(row["group_id"] for row in batch))}
    return np.array([codes[row["group_id"]] for row in batch], dtype=np.int64)


def unweighted(batch: Sequence[Row], names: Sequence[str]) -> signals.Floats:
    """Return (K, N) terms as they were served; NaN without a score, 0 where the weight was 0 and took the value."""
    terms = np.stack([_column(batch, f"term/{name}") for name in names])
    weights = np.stack([_column(batch, f"weight/{name}") for name in names])
    return np.divide(terms, weights, out=terms.copy(), where=weights != 0)


def component_columns(served: Mapping[str, RewardInfo], weights: Mapping[str, float]) -> list[str]:
    return [f"{name}/{component}" for name in weights for component in served[name].components]


def upper_bound(info: RewardInfo, weight: float) -> float | None:
    """Return the largest value that the weighted term can take, or None when the reward states no bound."""
    bound = info.range.high if weight > 0 else info.range.low
    return None if bound is None else weight * bound


def _row(scores: StepScores, index: int, item: Item) -> Row:
    found: Row = {
        "group_id": item.group.id if item.group else "",
        "slot": item.group.slot if item.group else index,
        "prompt": _text(item, "prompt"),
        "completion": _text(item, "completion"),
        "reward": scores.values[index],
        "status": scores.statuses[index],
        "error": scores.errors[index],
    }
    for (name, weight), served, terms in zip(scores.weights.items(), scores.rewards, scores.terms, strict=True):
        found |= {f"term/{name}": terms[index], f"weight/{name}": weight}
        found[f"version/{served.reward}"] = served.version
        found[f"request/{served.reward}"] = scores.request(served.reward, index)
        components = served.scores[index].components
        found |= {f"{served.reward}/{name}": value for name, value in components.items()}
    return found


def _text(item: Item, field: str) -> str:
    """Return the prompt or completion as text; chat messages as JSON, one turn's content alone where there is one."""
    value = getattr(item, field)
    if isinstance(value, str):
        return value
    if len(value) == 1 and value[0].content is not None:
        return str(value[0].content)
    return json.dumps([message.model_dump() for message in value], ensure_ascii=False)


def _column(batch: Sequence[Row], name: str) -> signals.Floats:
    return np.array([np.nan if (value := row.get(name)) is None else value for row in batch], dtype=np.float64)
