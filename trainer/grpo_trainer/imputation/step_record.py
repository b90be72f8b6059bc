"""The ledger's record of what imputation did in one step, of however many generation batches that was made."""

from collections.abc import Sequence
from typing import Any

from grpo_trainer.imputation import rank_agreement
from grpo_trainer.imputation.imputer import Outcome

COUNTS = ("completions", "calls", "calls_saved", "imputed")


def of_step(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the counts of all batches, the agreement over all their groups, and the gate as the last one left it."""
    records = [outcome.record for outcome in outcomes]
    last = records[-1]
    found = last | {name: sum(record[name] for record in records) for name in COUNTS}
    found["imputing"] = any(record["imputing"] for record in records)
    found["rank_agreement"] = _pooled(outcomes, "rank_agreement")
    found["gate"] = last["gate"] | {"changed": any(record["gate"]["changed"] for record in records)}
    if measured := next((record["oracle"] for record in records if "oracle" in record), None):
        found["oracle"] = {name: _pooled(outcomes, name) for name in measured}
    return found


def _pooled(outcomes: Sequence[Outcome], name: str) -> float | None:
    return rank_agreement.mean([rho for outcome in outcomes for rho in outcome.rho.get(name, [])])
