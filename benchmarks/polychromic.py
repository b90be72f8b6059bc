"""The arms of the polychromic system on five seeds: `python benchmarks/polychromic.py [DIR]`.

Runs `guerdon pipeline polychromic --size proof --seeds 0,1,2,3,4 --out DIR` (which goes on where it was) and writes
what its reports say, at both temperatures, to benchmarks/results/polychromic.json, with the machine. The last line is
JSON: by arm, how far distinct_2, semantic diversity and quality lie from the baseline's, and what of the claim holds.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine

RESULT = Path(__file__).parent / "results" / "polychromic.json"
METRICS = ("distinct_2", "semantic", "self_bleu_4.method1", "novelty", "vendi", "words", "quality.mentions")
CLAIMED = ("distinct_2", "semantic")
SEEDS = "0,1,2,3,4"
COMPARISONS = {"temperature 1.0": "diversity", "temperature 0.8": "diversity-0.8"}
INTERVALS = {"over seeds and prompts": "difference", "of Student over seeds": "over_seeds"}
"""What the page calls shown takes both; the second is wide for few seeds."""


def reports(folder: Path) -> dict[str, Any]:
    """Run the pipeline and return the reports of its comparisons by the temperature of sampling."""
    command = ("pipeline", "polychromic", "--size", "proof", "--seeds", SEEDS, "--out", str(folder))
    if status := subprocess.run([sys.executable, "-m", "guerdon.cli", *command]).returncode:
        raise RuntimeError(f"guerdon {' '.join(command)} ended with status {status}")
    return {name: json.loads((folder / place / "diversity.json").read_text()) for name, place in COMPARISONS.items()}


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return the arms' means, their distances from the baseline, and whether the claim holds."""
    from_baseline = found["from_baseline"]
    return {
        "headlines": found["headlines"],
        "arms": {
            arm["name"]: {
                "seeds": len(arm["seeds"]),
                "signal_share": arm["signal_share"],
                "means": {metric: arm["metrics"][metric] for metric in METRICS},
            }
            for arm in found["arms"]
        },
        "from_baseline": {metric: from_baseline[metric] for metric in METRICS},
        "configs": found["configs"],
        "holds": holds(found),
        "manifest": found["manifest"],
    }


def holds(found: dict[str, Any], arm: str = "set") -> dict[str, bool]:
    """Return by metric and interval whether a rise is shown, and whether quality is equal within the margin."""
    of_arm = {metric: found["from_baseline"][metric][arm] for metric in (*CLAIMED, "quality.mentions")}
    rises = {
        f"{metric} rises, by the interval {over}": low(of_arm[metric][name]) > 0
        for metric in CLAIMED
        for over, name in INTERVALS.items()
    }
    quality, margin = of_arm["quality.mentions"], found["margin"]
    every = [quality[name]["interval"] for name in INTERVALS.values() if quality[name]["interval"]]
    equal = bool(every) and all(-margin <= one["low"] and one["high"] <= margin for one in every)
    return {**rises, "quality equal within the margin": equal}


def low(estimate: dict[str, Any]) -> float:
    """Return the lower end of an interval; where there is none, nothing is shown."""
    return float(estimate["interval"]["low"]) if estimate["interval"] else -math.inf


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="guerdon-polychromic-"))
    found = {name: summary(one) for name, one in reports(folder).items()}
    stages = json.loads((folder / "pipeline.json").read_text())["stages"]
    took = {
        "command": "python benchmarks/polychromic.py",
        "seconds": {name: one["seconds"] for name, one in stages.items()},
    }
    text = json.dumps({"machine": machine(), **took, **found}, indent=1, ensure_ascii=False) + "\n"
    RESULT.write_text(text.replace(f"{folder.resolve()}/", ""))  # where it lay is nobody's business
    told = {name: {key: one[key] for key in ("headlines", "holds")} for name, one in found.items()}
    print(json.dumps(told, ensure_ascii=False))


if __name__ == "__main__":
    main()
