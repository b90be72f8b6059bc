"""Whether the SQL-CoT run learns, on three seeds: agreement with held-out targets before and after.

`python benchmarks/sql_cot.py [OUT]` runs `guerdon pipeline sql-cot --size proof --seeds 0,1,2 --out OUT` (default
runs/sql-cot-proof; what is there already is not made again), reads its evaluations and writes
benchmarks/results/sql_cot.json. The last line is JSON: per seed Spearman and skill before and after.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
FIGURES = ("spearman", "skill", "mae")


def summary(out: Path, seed: int) -> dict[str, Any]:
    """Return one seed's figures: before, after and gained, each with its interval."""
    found = json.loads((out / f"evaluation-{seed}" / "evaluation.json").read_text())
    steps = [json.loads(line) for line in (out / f"run-{seed}" / "metrics.jsonl").read_text().splitlines()]
    models = {name: _kept(found["models"][name], ("format_validity", "scored_rows")) for name in ("before", "after")}
    return {
        "seed": seed,
        "rows": found["manifest"]["rows"]["count"],
        "queries": found["manifest"]["queries"],
        **models,
        "gain": _kept(found["gains"]["after"], ()),
        "steps": len(steps),
        "training_s": round(sum(step["step_seconds"] for step in steps)),
        "reward": [round(step["reward"]["mean"], 3) for step in (steps[0], steps[-1])],
    }


def _kept(found: dict[str, Any], others: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in (*others, *FIGURES)}


def main() -> int:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/sql-cot-proof")
    seeds = ",".join(map(str, SEEDS))
    command = ["guerdon", "pipeline", "sql-cot", "--size", "proof", "--seeds", seeds, "--out", str(out)]
    if status := subprocess.call([sys.executable, "-m", "guerdon.cli", *command[1:]]):
        return status
    results = [summary(out, seed) for seed in SEEDS]
    card = json.loads((out / "starter" / "small_model.json").read_text())
    record = {"command": "python benchmarks/sql_cot.py", "pipeline": " ".join(command), "machine": machine()}
    record |= {"starter": card, "seeds": results}
    (RESULTS / "sql_cot.json").write_text(json.dumps(record, indent=2) + "\n")
    told = {
        f"seed_{one['seed']}": {
            name: [round(one[when][name]["value"], 3) for when in ("before", "after")] for name in ("spearman", "skill")
        }
        for one in results
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
