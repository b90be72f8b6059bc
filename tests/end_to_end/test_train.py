"""`guerdon train` against a real stack: HTTP, queue, worker, and a tiny policy that takes two GRPO steps."""

import os
import signal
import threading
from pathlib import Path

import pytest

from grpo_trainer.record import ledger
from grpo_trainer.train import main
from guerdon.client import RewardClient
from local_stack.stack import Stack

RUN = """
[policy]
model = "{policy}"
prompt = "plain"
end_of_turn = "\\n"
[dataset]
name = "sql_cot"
rows = 40
[[rewards]]
name = "sql_cot"
weight = 1.0
[[rewards]]
name = "semantic_diversity"
weight = 0.5
[services]
reward_url = "{url}"
[grpo]
max_steps = 2
num_generations = 4
per_device_train_batch_size = 4
gradient_accumulation_steps = 2
max_completion_length = 12
learning_rate = 1e-2
gradient_checkpointing = false
save_strategy = "no"
"""


def train(stack: Stack, policy: Path, folder: Path, *more: str) -> int:
    run = folder / "tiny.toml"
    run.write_text(RUN.format(policy=policy, url=stack.url))
    return main([str(run), "--out", str(folder / "out"), *more])


def test_two_steps_are_taught_by_served_rewards(stack: Stack, tiny_policy: Path, tmp_path: Path) -> None:
    assert train(stack, tiny_policy, tmp_path) == 0
    with RewardClient(stack.url) as client:
        versions = {info.name: info.version for info in client.rewards()}
    steps, rows = ledger.read_metrics(tmp_path / "out"), ledger.read_rollouts(tmp_path / "out")
    assert [step["step"] for step in steps] == [1, 2]
    assert [step["failed_share"] for step in steps] == [0, 0]
    assert len(rows) == 16
    for row in rows:
        assert row["status"] == "ok"
        assert row["version/sql_cot"] == versions["sql_cot"]
        assert row["sql_cot/target"] is not None  # embedded by the worker
        assert row["semantic_diversity/semantic"] is not None
        assert row["reward"] == pytest.approx(row["term/sql_cot"] + row["term/semantic_diversity"])


def test_a_worker_killed_during_the_run_costs_time_and_no_reward(
    stack: Stack, tiny_policy: Path, tmp_path: Path
) -> None:
    worker, metrics = stack.processes["reward-worker"].pid, tmp_path / "out" / "metrics.jsonl"
    trained = threading.Event()

    def kill_after_the_first_step() -> None:
        while not trained.wait(0.02):
            if metrics.exists() and metrics.read_text().count("\n"):
                os.kill(worker, signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_after_the_first_step)
    killer.start()
    # Another seed: other rows and other completions, none of which anybody has embedded before.
    status = train(stack, tiny_policy, tmp_path, "--seed", "7", "--set", "dataset.seed=7", "--steps", "4")
    trained.set()
    killer.join()
    assert status == 0
    assert stack.processes["reward-worker"].pid != worker
    assert [step["failed_share"] for step in ledger.read_metrics(tmp_path / "out")] == [0, 0, 0, 0]
