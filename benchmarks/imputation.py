"""What reward imputation saves at q = 0.5 and how well it ranks: the proof of chat_quality over several seeds.

`python benchmarks/imputation.py [--out DIR] [SEED …]` (default 0 1 2) runs `guerdon pipeline chat-quality --size proof`
(which goes on where it was interrupted when --out names the same folder) and writes benchmarks/results/imputation.json:
every seed's run with imputation and its oracle twin, their medians, and whether what must hold does.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"
SAVED, AGREES = 0.4, 0.7
"""What must hold: the share of calls saved, and the rank agreement."""
SHOWN = (
    "calls_saved_share",
    "rank_agreement",
    "rank_agreement_predicted",
    "rank_agreement_used",
    "reward_first_quarter",
    "reward_last_quarter",
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2])
    options.add_argument("--out", type=Path, help="folder of the pipeline (default: a temporary one)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = asked.out or Path(temporary)
        seeds = ",".join(map(str, asked.seeds))
        told = ["chat-quality", "--size", "proof", "--seeds", seeds, "--out", str(out)]
        subprocess.run([sys.executable, "-m", "guerdon.cli", "pipeline", *told], check=True)
        report = (out / "report/report.json").read_text(encoding="utf-8")
        facts = json.loads(report.replace(f"{out.resolve()}/", ""))
    result = {
        "command": f"python benchmarks/imputation.py {' '.join(map(str, asked.seeds))}",
        "machine": machine(),
        "medians": {mode: medians(facts["runs"], mode) for mode in ("impute", "oracle")},
        **facts,
    }
    result["holds"] = holds(result["medians"])
    (RESULTS / "imputation.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"medians": result["medians"], "holds": result["holds"]}))


def medians(runs: dict[str, Any], mode: str) -> dict[str, float | None]:
    """Return the median over seeds of each figure; None where a seed has none."""
    chosen = [run for run in runs.values() if run["mode"] == mode]
    found: dict[str, float | None] = {}
    for name in SHOWN:
        values = [run[name] for run in chosen]
        found[name] = round(statistics.median(values), 4) if values and None not in values else None
    return found


def holds(found: dict[str, dict[str, float | None]]) -> dict[str, bool]:
    """Return whether the calls saved, and the rank agreement as the run sees it and as the oracle does, suffice."""
    impute, oracle = found["impute"], found["oracle"]
    return {
        "calls_saved": (impute["calls_saved_share"] or 0) >= SAVED,
        "rank_agreement": (impute["rank_agreement"] or 0) >= AGREES,
        "rank_agreement_predicted_by_the_oracle": (oracle["rank_agreement_predicted"] or 0) >= AGREES,
        "rank_agreement_used_by_the_oracle": (oracle["rank_agreement_used"] or 0) >= AGREES,
    }


if __name__ == "__main__":
    main()
