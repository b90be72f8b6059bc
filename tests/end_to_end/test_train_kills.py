"""What a run depends on dies in turn, the trainer last: the ledger has each step once, and no reward is wrong."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grpo_trainer.record import ledger
from guerdon.client import RewardClient
from guerdon.messages import Group, Item, ScoreRequest
from local_stack.stack import Stack

REWARDS = """
[length]
kind = "length"
runs = "worker"
low = 200
[diversity]
kind = "diversity"
"""
RUN = """
[policy]
model = "{policy}"
prompt = "plain"
end_of_turn = "\\n"
[dataset]
name = "sql_cot"
rows = 40
target = "execution"
[[rewards]]
name = "length"
[[rewards]]
name = "diversity"
weight = 0.5
[services]
reward_url = "{url}"
[grpo]
max_steps = {steps}
num_generations = 4
per_device_train_batch_size = {batch}
max_completion_length = 12
learning_rate = 1e-2
gradient_checkpointing = false
save_strategy = "steps"
save_steps = 2
"""
IMPUTED = """
[imputation]
reward = "length"
from_share = 0.0
threshold = -0.99
window = 8
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "rewards.toml").write_text(REWARDS)
    env = {"GUERDON_REWARD_RESUBMIT_AFTER_S": "2", "GUERDON_REWARD_CACHE": "false"}
    with Stack(config=folder / "rewards.toml", directory=folder, threads=1, env=env) as running:
        yield running


def command(stack: Stack, policy: Path, folder: Path, *, steps: int, batch: int) -> list[str]:
    run = folder / "tiny.toml"
    run.write_text(RUN.format(policy=policy, url=stack.url, steps=steps, batch=batch))
    return ["-m", "guerdon.cli", "train", str(run), "--out", str(folder / "out")]


def started(*arguments: str, **env: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)} | env
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what the process says up to a line that begins with `text`."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(text):
            return
    raise AssertionError(f"it never said {text!r}: {''.join(said)[-3000:]}")


def scored_whole(stack: Stack, rows: list[dict[str, Any]]) -> list[dict[str, float | None]]:
    """Score the ledger's completions again, each group in one request by one caller."""
    items = [
        Item(
            prompt=row["prompt"],
            completion=row["completion"],
            group=Group(id=f"again/{row['step']}/{row['group_id']}", size=4, slot=row["slot"]),
        )
        for row in rows
    ]
    with RewardClient(stack.url) as client:
        answer = client.score(ScoreRequest(rewards=["length", "diversity"], items=items, deadline_s=60))
    values = [[score.value for score in reward.scores] for reward in answer.rewards]
    return [dict(zip(("length", "diversity"), pair, strict=True)) for pair in zip(*values, strict=True)]


def the_rows_have_their_own_rewards(stack: Stack, rows: list[dict[str, Any]]) -> None:
    for row, again in zip(rows, scored_whole(stack, rows), strict=True):
        assert row["status"] == "ok"
        assert again["length"] is not None
        assert again["diversity"] is not None
        assert row["term/length"] == pytest.approx(again["length"])
        assert row["term/diversity"] == pytest.approx(0.5 * again["diversity"])
        assert row["reward"] == pytest.approx(row["term/length"] + row["term/diversity"])


def test_worker_api_redis_and_trainer_die_in_turn_and_the_run_comes_to_its_end(
    stack: Stack, tiny_policy: Path, tmp_path: Path
) -> None:
    train = command(stack, tiny_policy, tmp_path, steps=10, batch=8)
    first = started(*train)
    before = {name: process.pid for name, process in stack.processes.items()}
    for step, name in ((1, "reward-worker"), (3, "reward-api"), (5, "redis")):
        until(first, f"step {step}/10")
        os.kill(stack.processes[name].pid, signal.SIGKILL)
    until(first, "step 7/10")
    first.kill()
    first.wait()
    for name, pid in before.items():
        assert stack.processes[name].pid != pid

    again = started(*train, "--resume")
    until(again, "step 10/10")
    said, _ = again.communicate()
    assert again.returncode == 0, said
    lines, rows = ledger.read_metrics(tmp_path / "out"), ledger.read_rollouts(tmp_path / "out")
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert [line["failed_share"] for line in lines] == [0] * 10
    assert sorted({row["step"] for row in rows}) == list(range(1, 11))
    assert len(rows) == 80
    the_rows_have_their_own_rewards(stack, rows)


def test_two_ranks_give_groups_that_are_cut_between_them_the_rewards_of_one(
    stack: Stack, tiny_policy: Path, tmp_path: Path
) -> None:
    """4 completions a group, 2 a rank: every group is joined by the server from two requests.

    Both ranks draw the same member that is not scored, and solve the same weight for a target share.
    """
    train = command(stack, tiny_policy, tmp_path, steps=16, batch=2)
    run = tmp_path / "tiny.toml"
    run.write_text(run.read_text().replace("weight = 0.5", "weight = 0.5\ntarget_share = 0.3") + IMPUTED)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = started(*launch, *train, "--set", "services.deadline_s=60")
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said[-3000:]
    lines, rows = ledger.read_metrics(tmp_path / "out"), ledger.read_rollouts(tmp_path / "out")
    assert [line["step"] for line in lines] == list(range(1, 17))
    assert [line["completions"] for line in lines] == [4] * 16
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(row["group_id"], []).append(row["slot"])
    assert [sorted(slots) for slots in groups.values()] == [[0, 1, 2, 3]] * 16
    assert ledger.read_manifest(tmp_path / "out")["ranks"] == 2
    for row, again in zip(rows, scored_whole(stack, rows), strict=True):
        assert again["diversity"] is not None
        assert row["term/diversity"] == pytest.approx(row["weight/diversity"] * again["diversity"])
        assert row["term/length"] == (pytest.approx(again["length"]) if row["scored/length"] else None)
        assert row["reward"] == pytest.approx(row["imputed/length"] + row["term/diversity"])
    imputed = [line["imputation"]["imputed"] for line in lines]
    assert set(imputed) == {0, 1}  # of the four of both ranks, not of each
    assert sum(imputed) == sum(row["status"] == "imputed" for row in rows)
    assert len({row["weight/diversity"] for row in rows}) > 2
    for step in range(1, 17):  # both ranks weigh alike
        assert len({row["weight/diversity"] for row in rows if row["step"] == step}) == 1


def rank(launcher: "subprocess.Popen[str]", number: int) -> int:
    """Return the process id of one rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    wanted = f"RANK={number}".encode()
    return next(int(pid) for pid in children if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def test_what_ends_one_rank_ends_both_with_a_checkpoint_that_both_go_on_from(
    stack: Stack, tiny_policy: Path, tmp_path: Path
) -> None:
    """First rewards that fail on one rank, then a SIGTERM that one rank is sent."""
    train = command(stack, tiny_policy, tmp_path, steps=50, batch=2)
    program = (
        "import os, sys\n"
        "from guerdon.trl import RemoteReward, TooManyFailed\n"
        "scored = RemoteReward._refuse_too_many_failures\n"
        "def raised(self, step):\n"
        "    if os.environ['RANK'] == '1' and self.phase == 'train' and self._calls['train'] == 2:\n"
        "        raise TooManyFailed('this rank has had enough')\n"
        "    scored(self, step)\n"
        "RemoteReward._refuse_too_many_failures = raised\n"
        "from guerdon.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    (tmp_path / "raises.py").write_text(program)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "raises.py")]
    process = started(*launch, *train[2:])
    said, _ = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "this rank has had enough" in said
    out = tmp_path / "out"
    assert [line["step"] for line in ledger.read_metrics(out)] == [1]
    assert (out / "checkpoints/checkpoint-1/rng_state_1.pth").exists()
    assert ledger.read_manifest(out)["exit_status"] == 1

    again = started(*launch[:-1], *train, "--resume")
    until(again, "step 2/50")
    os.kill(rank(again, 1), signal.SIGTERM)
    said, _ = again.communicate(timeout=240)
    assert again.returncode != 0
    steps = [line["step"] for line in ledger.read_metrics(out)]
    assert steps == list(range(1, len(steps) + 1))
    assert f"stopped after step {steps[-1]}; --resume goes on" in said
    assert (out / f"checkpoints/checkpoint-{steps[-1]}/rng_state_1.pth").exists()
    assert ledger.read_manifest(out)["exit_status"] == 128 + signal.SIGTERM
