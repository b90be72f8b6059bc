"""What imputation came to in one run, from the ledger's lines: calls saved, and how well it ranked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from grpo_trainer.display.report import quarters

Record = Mapping[str, Any]


def of_run(metrics: Sequence[Record]) -> dict[str, Any]:
    """Return the run in numbers; what no step has is None.

    Of an oracle's run `calls_saved` is what would have been saved, `rank_agreement_predicted` and
    `rank_agreement_used` are measured on every member of every group, the truth being known. `rank_agreement` is
    what any run knows: of predictions with scores that they were not learnt from, on the members that were scored.
    """
    records = [line["imputation"] for line in metrics if line.get("imputation")]
    imputing = [record for record in records if record["imputing"]]
    completions = sum(record["completions"] for record in records)
    saved = sum(record["calls_saved"] for record in records)
    first, last = quarters(metrics)
    return {
        "mode": records[-1]["mode"] if records else None,
        "reward": records[-1]["reward"] if records else None,
        "steps": len(metrics),
        "steps_imputing": len(imputing),
        "completions": completions,
        "calls_saved": saved,
        "calls_saved_share": saved / completions if completions else None,
        "rank_agreement": _mean(record["rank_agreement"] for record in imputing),
        "rank_agreement_predicted": _mean((record.get("oracle") or {}).get("predicted") for record in imputing),
        "rank_agreement_used": _mean((record.get("oracle") or {}).get("used") for record in imputing),
        "gate_changes": sum(record["gate"]["changed"] for record in records),
        "failed_share": _mean(line.get("failed_share") for line in metrics),
        "reward_first_quarter": first,
        "reward_last_quarter": last,
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
