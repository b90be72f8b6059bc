"""Kill the worker ten times while it answers 5,000 calls: none is lost, none is wrong.

Run it with `python benchmarks/kills.py`. It ends with one JSON line, which is also written, with the machine's
description, to benchmarks/results/kills.json: `lost` counts calls without a score, `wrong` those with another score
than the right one, `asked_again` the items that were put on the queue once more.
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from load import Connection, request
from machine import machine
from scale import KINDS

from local_stack.restarts import Restarts
from local_stack.stack import Stack

CALLS, KILLS, CLIENTS = 5000, 10, 32
CONFIG = '[odd]\nkind = "odd"\nseconds = 0.01\n'
RESULTS = Path(__file__).parent / "results" / "kills.json"


class Run:
    """The calls, and who interrupts them."""

    def __init__(self, running: Stack) -> None:
        self._running = running
        self.done = self.lost = self.wrong = self.kills = 0
        self._progress = asyncio.Event()

    async def client(self, numbers: "asyncio.Queue[int]") -> None:
        connection = Connection(self._running.port)
        while not numbers.empty():
            text = f"call {numbers.get_nowait()} {'x' * random.randrange(100)}"
            code, content = await connection.post(request("odd", [text], deadline_s=300))
            score = json.loads(content)["rewards"][0]["scores"][0] if code == 200 else {"value": None}
            self.lost += score["value"] is None
            self.wrong += score["value"] not in (None, float(len(text)))
            self.done += 1
            self._progress.set()

    async def killer(self) -> None:
        for number in range(1, KILLS + 1):
            while self.done < number * CALLS // (KILLS + 2):
                self._progress.clear()
                await self._progress.wait()
            os.kill(self._running.processes["reward-worker"].pid, signal.SIGKILL)
            self.kills += 1
            print(f"{self.done} of {CALLS} calls answered, {self.kills} workers killed", file=sys.stderr)

    async def all(self) -> None:
        numbers: asyncio.Queue[int] = asyncio.Queue()
        for number in range(CALLS):
            numbers.put_nowait(number)
        await asyncio.gather(self.killer(), *(self.client(numbers) for _ in range(CLIENTS)))


def asked_again(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("guerdon_resubmitted_total{"))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rewards.toml").write_text(CONFIG)
        env = {
            "PYTHONPATH": os.pathsep.join([str(KINDS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "GUERDON_REWARD_SERVE": "odd",
        }
        patient = Restarts(limit=100, longest_wait_s=0.2)
        with Stack(
            config=folder / "rewards.toml", directory=folder / "stack", threads=1, env=env, restarts=patient
        ) as running:
            run = Run(running)
            started = time.monotonic()
            asyncio.run(run.all())
            result = {
                "calls": run.done,
                "kills": run.kills,
                "lost": run.lost,
                "wrong": run.wrong,
                "asked_again": asked_again(running.port),
                "seconds": round(time.monotonic() - started, 1),
            }
    RESULTS.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
