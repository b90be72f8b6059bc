"""The Slurm scripts, run by a shell with stand-ins for Slurm's commands, which note how they are called."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "trainer/grpo_trainer/launch/slurm"
SYSTEMS = sorted(SCRIPTS.glob("*.sbatch"))

STAND_INS = {
    "scontrol": 'if [ "$1" = show ]; then printf "%s\\n" n0 n1 n2; else echo "scontrol $*" >> "$NOTES"; fi',
    # A signal to step 1 ends the training, as one that leaves a checkpoint behind ends: with 143.
    "scancel": 'echo "scancel $*" >> "$NOTES"; touch "$STOP"',
    "python": f'exec "{sys.executable}" "$@"',
    "srun": """
echo "srun $* | $GUERDON_REWARD_TOKEN" >> "$NOTES"
case "$*" in
  *"guerdon up"*)
    [ -z "$NO_SERVER" ] || exit 1
    while [ $# -gt 0 ]; do [ "$1" = --ready-file ] && touch "$2"; shift; done
    exec sleep 60 ;;
  *) [ -z "$WAITS" ] || { until [ -e "$STOP" ]; do sleep 0.05; done; exit 143; } ;;
esac
""",
}


class Job:
    """A job's place, and what was called in it."""

    def __init__(self, folder: Path) -> None:
        self.runs, self.notes = folder / "runs", folder / "notes"
        (folder / "bin").mkdir()
        for name, text in STAND_INS.items():
            (folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(SCRIPTS.parents[2]),
            "SLURM_SUBMIT_DIR": str(folder),
            "SLURM_JOB_NODELIST": "n[0-2]",
            "SLURM_JOB_ID": "7",
            "SLURM_GPUS_ON_NODE": "2",
            "NOTES": str(self.notes),
            "STOP": str(folder / "stop"),
        }

    def start(self, script: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["bash", script, *arguments], env=self.environment | more, stderr=subprocess.PIPE, text=True
        )

    def calls(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_there_is_one_for_each_research_system() -> None:
    assert [script.stem for script in SYSTEMS] == [
        "chat_quality",
        "elicitation",
        "polychromic",
        "recommender",
        "sql_cot",
    ]


@pytest.mark.parametrize("script", SYSTEMS, ids=lambda script: script.stem)
def test_the_first_node_serves_and_the_others_train(script: Path, job: Job) -> None:
    started = job.start(script, "--steps", "5")
    assert started.wait() == 0
    up, train = sorted(job.calls(), key=lambda call: "torchrun" in call)
    assert "--nodelist=n0 guerdon up --host 0.0.0.0" in up
    assert "--nodelist=n1,n2 torchrun --nnodes=2 --nproc-per-node=2" in train
    assert "--rdzv-endpoint=n1:29500" in train
    out = job.runs / script.stem
    own = "--set grpo.gradient_accumulation_steps=4 " if script.stem == "chat_quality" else ""  # on four GPUs
    assert f"train {script.stem} --out {out} --reward-url http://n0:8000 {own}--steps 5 |" in train
    [token] = {call.partition(" | ")[2] for call in (up, train)}
    assert len(token) >= 32


def test_a_run_with_a_checkpoint_is_resumed_and_one_without_put_aside(job: Job) -> None:
    (job.runs / "sql_cot" / "rollouts").mkdir(parents=True)
    assert job.start(SCRIPTS / "sql_cot.sbatch").wait() == 0
    assert "--resume" not in job.calls()[-1]
    assert [place.is_dir() for place in job.runs.glob("sql_cot.1*")] == [True]
    (job.runs / "sql_cot" / "checkpoints" / "checkpoint-3").mkdir(parents=True)
    assert job.start(SCRIPTS / "sql_cot.sbatch").wait() == 0
    assert sum("--resume" in call for call in job.calls()) == 1


def test_before_its_time_is_over_a_job_stops_the_training_and_queues_again(job: Job) -> None:
    started = job.start(SCRIPTS / "sql_cot.sbatch", WAITS="yes")
    while not any("torchrun" in call for call in job.calls()):
        assert started.poll() is None
        time.sleep(0.02)
    started.send_signal(signal.SIGUSR1)
    assert started.wait() == 143
    assert job.calls()[-2:] == ["scancel --signal=TERM 7.1", "scontrol requeue 7"]


def test_a_server_that_does_not_start_ends_the_job(job: Job) -> None:
    started = job.start(SCRIPTS / "sql_cot.sbatch", NO_SERVER="yes")
    _, said = started.communicate()
    assert started.returncode == 2
    assert "the reward server ended before it was ready" in said
    assert not any("torchrun" in call for call in job.calls())
