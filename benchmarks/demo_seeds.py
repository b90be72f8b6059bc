"""Whether the demo learns, on several seeds: reward curves, seconds a step, reward time, peak memory.

`python benchmarks/demo_seeds.py [SEED …]` (default 0 1 2) runs `guerdon demo` once per seed and writes
benchmarks/results/demo_seed_N.json; then demo_seeds.png of all seeds there are results of. The last line is JSON:
per seed the mean reward of the first and the last quarter of steps and what was gained.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import psutil
from machine import machine

mpl.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results"


class PeakMemory(threading.Thread):
    """Watches the memory of a process and all below it, shared pages counted once per process (PSS)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.root, self.peak = psutil.Process(pid), 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(1.0):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        total = 0
        for process in [self.root, *self.root.children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total


def run(seed: int) -> dict[str, Any]:
    """Run the demo once and return what its ledger says."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        command = [sys.executable, "-m", "guerdon.cli", "demo", "--seed", str(seed), "--out", str(out)]
        started = time.monotonic()
        process = subprocess.Popen(command)
        memory = PeakMemory(process.pid)
        memory.start()
        if process.wait() != 0:
            raise RuntimeError(f"the demo with seed {seed} ended with status {process.returncode}")
        memory.over.set()
        steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {"seed": seed, "wall_s": round(time.monotonic() - started), "peak_gib": round(memory.peak / 2**30, 2)} | of(
        steps
    )


def of(steps: list[dict[str, Any]]) -> dict[str, Any]:
    rewards = [step["reward"]["mean"] for step in steps]
    quarter = len(rewards) // 4
    first, last = statistics.mean(rewards[:quarter]), statistics.mean(rewards[-quarter:])
    trained_s = sum(step["step_seconds"] for step in steps)
    return {
        "first_quarter": round(first, 3),
        "last_quarter": round(last, 3),
        "gain": round(last - first, 3),
        "training_s": round(trained_s),
        "step_s_median": round(statistics.median(step["step_seconds"] for step in steps), 2),
        "reward_time_share": round(sum(step["reward_seconds"] for step in steps) / trained_s, 4),
        "failed": sum(step["failed_share"] > 0 for step in steps),
        "reward": [round(reward, 4) for reward in rewards],
    }


def draw(results: list[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for result in results:
        axes.plot(range(1, len(result["reward"]) + 1), result["reward"], label=f"seed {result['seed']}")
    axes.set(xlabel="step", ylabel="mean reward of the step's group", ylim=(-1.3, 1.05))
    axes.axhline(-1.25, color="grey", lw=0.8, ls=":")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(RESULTS / "demo_seeds.png", dpi=130)


def main() -> None:
    for seed in [int(word) for word in sys.argv[1:]] or [0, 1, 2]:
        result = {"machine": machine()} | run(seed)
        (RESULTS / f"demo_seed_{seed}.json").write_text(json.dumps(result, indent=2) + "\n")
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("demo_seed_*.json"))]
    draw(results)
    print(json.dumps({f"seed_{one['seed']}": {key: one[key] for key in KEYS} for one in results}))


KEYS = ("first_quarter", "last_quarter", "gain", "training_s", "reward_time_share", "peak_gib")

if __name__ == "__main__":
    main()
