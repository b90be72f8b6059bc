"""Whether a policy learns to recommend from a served critic: before and after over three seeds.

`python benchmarks/recommender.py [OUT]` runs `guerdon pipeline recommender --size proof --seeds 0,1,2` in OUT (default
runs/recommender-proof; what is there already is not run again) and writes benchmarks/results/recommender.json: what the
critic says of replies in held-out dialogues and how far a simulated user is served, before and after each training,
and what the other metrics came to. The simulated user goes by a rule and never sees the critic.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine

RESULT = Path(__file__).parent / "results" / "recommender.json"
COMMAND = ("pipeline", "recommender", "--size", "proof", "--seeds", "0,1,2")
SIMULATED = ("dialogues", "ends", "success_rate", "average_turns", "accepted_fitting_share", "max_turns")


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/recommender-proof")
    subprocess.run([sys.executable, "-m", "guerdon.cli", *COMMAND, "--out", str(out)], check=True)
    result = {"machine": machine(), "command": "python benchmarks/recommender.py"} | of(out)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    RESULT.write_text(text.replace(f"{out.resolve()}/", ""), encoding="utf-8")
    print(json.dumps({"headlines": result["headlines"], "holds": result["holds"]}, ensure_ascii=False))


def of(out: Path) -> dict[str, Any]:
    """Return what the pipeline's reports say."""
    report = json.loads((out / "report/report.json").read_text(encoding="utf-8"))
    stages = json.loads((out / "pipeline.json").read_text(encoding="utf-8"))["stages"]
    before, after = report["simulation"]["before"], report["simulation"]["after"]
    return {
        "headlines": report["headlines"],
        "holds": holds(report),
        "critic_change": report["critic_change"],
        "simulation": {"before": told(before), "after": [told(one) for one in after]},
        "metrics": report["metrics"],
        "training": report["training"],
        "manifest": report["manifest"],
        "seconds": {name: stage["seconds"] for name, stage in stages.items()},
    }


def told(simulation: dict[str, Any]) -> dict[str, Any]:
    return {name: simulation[name] for name in SIMULATED}


def holds(report: dict[str, Any]) -> dict[str, bool]:
    """Return whether each seed's interval says that the critic's value rose, and that more dialogues succeeded."""
    rises = [one["low"] is not None and one["low"] > 0 for one in report["critic_change"]]
    before, after = report["simulation"]["before"], report["simulation"]["after"]
    higher = [one["success_rate"]["low"] > before["success_rate"]["high"] for one in after]
    return {
        "the critic's value rises in every seed": bool(rises) and all(rises),
        "the success rate's intervals lie apart in every seed": bool(higher) and all(higher),
    }


if __name__ == "__main__":
    main()
