"""Whether a policy learns to ask: gain of its questions after training against random ones, over three seeds.

`python benchmarks/elicitation.py [OUT]` runs `guerdon pipeline elicitation --size proof` in OUT (default
runs/elicitation-proof; what is there already is not run again) and writes benchmarks/results/elicitation.json: every
arm's gain with its interval, the differences, and how well the predictor is calibrated. The models are small ones, made
for the proof.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"
KEPT = ("name", "seeds", "asked", "gain", "accuracy_before", "accuracy_after", "repeated", "by_seed", "questions")


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/elicitation-proof")
    command = ["pipeline", "elicitation", "--size", "proof", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "guerdon.cli", *command], check=True)
    result = {"machine": machine(), "command": f"guerdon {' '.join(command[:4])}"} | of(out)
    (RESULTS / "elicitation.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["differences"]))


def of(out: Path) -> dict[str, Any]:
    """Return what the pipeline's reports say."""
    report = json.loads((out / "probe/report.json").read_text())
    world = json.loads((out / "world/small_model.json").read_text())
    stages = json.loads((out / "pipeline.json").read_text())["stages"]
    return {
        "prompts": report["prompts"],
        "personas": report["personas"],
        "arms": [{name: arm[name] for name in KEPT} for arm in report["arms"]],
        "differences": report["differences"],
        "calibration": report["calibration"],
        "world": {name: world[name] for name in ("weights", "rows", "held_out_loss")},
        "seconds": {name: stage["seconds"] for name, stage in stages.items()},
    }


if __name__ == "__main__":
    main()
