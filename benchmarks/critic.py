"""Whether a critic learns what its labels allow: labels with declared noise, R² by the ceiling that the noise sets.

`python benchmarks/critic.py [SEED …]` (default 0 1 2) makes dialogues, labels them by two labelers of known error,
trains `guerdon critic train critic --size proof`, examines it on other dialogues with the reward class that is served,
and keeps the work in a folder of the temporary directory, so that it goes on after an interruption. It writes
benchmarks/results/critic.json of all seeds there are, one after the other or from several processes.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"
WITHOUT_NOISE = {"bleu"}
"""Heads without declared levels: they have no known ceiling, and are in no share of it."""
DATA = ("--train", "1", "--labelled", "2000", "--held-out", "300")
TRAINER = Path(__file__).parents[1] / "trainer"
SETTINGS = [
    TRAINER / "critic_trainer/runs/critic.toml",
    *sorted((TRAINER / "empathetic_recommender/film_dialogues").glob("*.py")),
]
MADE_OF = hashlib.sha256(b"".join(path.read_bytes() for path in [*SETTINGS, Path(__file__)])).hexdigest()[:16]
"""What figures depend on: seeds of other settings are neither gone on with nor put beside these."""
WORK = Path(tempfile.gettempdir()) / f"guerdon-critic-benchmark-{MADE_OF}"


def guerdon(*arguments: str, makes: Path) -> float:
    """Run a command unless its result is there; return its seconds."""
    if makes.exists():
        return 0.0
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "guerdon.cli", *arguments], check=True)
    return time.monotonic() - started


def run(seed: int) -> dict[str, Any]:
    out = WORK / str(seed)
    data = ("recommender", "dialogues", "--out", f"{out}/data", "--seed", str(seed))
    guerdon(*data, *DATA, makes=out / "data/data.json")
    for name in ("labelled", "held_out"):
        who = ("--labeler", "column:first", "--labeler", "column:second")
        label = ("critic", "label", f"{out}/data/{name}.jsonl", "--out", f"{out}/{name}")
        guerdon(*label, *who, makes=out / name / "agreement.json")
    train = ("critic", "train", "critic", "--size", "proof", "--seed", str(seed))
    labels = ("--labels", f"{out}/labelled/labels.jsonl", "--out", f"{out}/critic")
    seconds = guerdon(*train, *labels, makes=out / "critic/training.json")
    held_out = ("--labels", f"{out}/held_out/labels.jsonl", "--out", f"{out}/examined")
    guerdon("critic", "eval", f"{out}/critic", *held_out, makes=out / "examined/report.json")
    return of(seed, seconds, out)


def of(seed: int, seconds: float, out: Path) -> dict[str, Any]:
    report = json.loads((out / "examined/report.json").read_text())
    card = json.loads((out / "critic/training.json").read_text())
    heads = {
        head["name"]: {
            "r2": head["statistics"]["r2"],
            "r2_interval": head["statistics"]["r2_interval"],
            "ceiling": head["ceiling"]["r2"],
            "share_of_ceiling": head["diagnosis"]["ceiling_share"],
            "spearman": head["statistics"]["spearman"],
            "mae": head["statistics"]["mae"],
            "finding": head["diagnosis"]["finding"],
            "text": head["diagnosis"]["text"],
        }
        for head in report["heads"]
    }
    agreement = json.loads((out / "held_out/agreement.json").read_text())["agreement"]
    return {
        "seed": seed,
        "train_s": round(seconds) or None,  # null: trained by an earlier, interrupted call
        "replies": {"train": card["train"], "held_out": report["manifest"]["labels"]["replies"]},
        "best_epoch": card["best_epoch"],
        "alpha": {one["attribute"]: one["alpha"] for one in agreement},
        "heads": heads,
    }


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the worst share of the ceiling of every head, and whether the claim holds on all seeds."""
    names = [name for name in seeds[0]["heads"] if name not in WITHOUT_NOISE]
    flat = [name for name in names if all(one["heads"][name]["r2"] is None for one in seeds)]
    worst = {name: min(one["heads"][name]["share_of_ceiling"] for one in seeds) for name in names if name not in flat}
    said = all(one["heads"][name]["finding"] == "labels without variance" for one in seeds for name in flat)
    return {
        "seeds": len(seeds),
        "worst_share_of_ceiling": worst,
        "at_least_80_percent": all(share >= 0.8 for share in worst.values()),
        "without_variance": flat,
        "says_labels_without_variance": bool(flat) and said,
    }


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(__file__).parents[1] / name) for name in PATHS)
    for seed in [int(word) for word in sys.argv[1:]] or [0, 1, 2]:
        found = run(seed)
        with (WORK / ".lock").open("w") as lock:  # other seeds may run beside this one
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = RESULTS / "critic.json"
            written = json.loads(path.read_text()) if path.exists() else {}
            before = written["seeds"] if written.get("made_of") == MADE_OF else []
            seeds = sorted([*(one for one in before if one["seed"] != seed), found], key=lambda one: int(one["seed"]))
            result = {
                "command": "python benchmarks/critic.py",
                "machine": machine(),
                "made_of": MADE_OF,
                "summary": summary(seeds),
                "seeds": seeds,
            }
            path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["summary"]))


PATHS = ("proto", "services", "trainer")

if __name__ == "__main__":
    main()
