"""Four times what the workers can do, for a minute: what is accepted is answered right and in time, the rest refused.

Run it with `python benchmarks/overload.py`. Requests of one item come at random times (Poisson) at 4 x the capacity of
a model that takes a fixed time for each item. It ends with one JSON line, which is also written, with the machine's
description, to benchmarks/results/overload.json. Of accepted requests (status 200): `wrong` and `timed_out` count what
was not answered right, `p99_of_deadline` is their p99 / the deadline. `unclean` counts answers that are neither 200 nor
a 503 with Retry-After. `recovery_s` is how long after the load a request took again at most twice its usual time.
"""

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from load import Connection, request
from machine import machine
from scale import KINDS

from local_stack.stack import Stack

ITEM_S = 0.02
DEADLINE_S = 5.0
SECONDS = float(os.environ.get("OVERLOAD_SECONDS", 60))
TIMES = 4
CONFIG = f'[sleepy]\nkind = "sleepy"\nseconds = {ITEM_S}\n'
RESULTS = Path(__file__).parent / "results" / "overload.json"
REPETITIONS = 3


class Tally:
    """What came of the requests of one run."""

    def __init__(self) -> None:
        self.accepted_s: list[float] = []
        self.refused_s: list[float] = []
        self.wrong = self.timed_out = self.unclean = 0

    def count(self, code: int, head: bytes, content: bytes, text: str, seconds: float) -> None:
        if code == 503 and b"retry-after: " in head.lower():
            self.refused_s.append(seconds)
            return
        if code != 200:
            self.unclean += 1
            return
        self.accepted_s.append(seconds)
        [score] = json.loads(content)["rewards"][0]["scores"]
        self.timed_out += score["status"] == "timeout"
        self.wrong += score["status"] != "timeout" and score["value"] != float(len(text))


async def one(free: list[Connection], port: int, tally: Tally) -> float:
    """Send one request over a connection that is free; return its seconds."""
    connection = free.pop() if free else Connection(port)
    text = f"{random.getrandbits(64):x} {'x' * random.randrange(50)}"
    started = time.perf_counter()
    code, content = await connection.post(request("sleepy", [text], deadline_s=DEADLINE_S))
    seconds = time.perf_counter() - started
    tally.count(code, connection.head, content, text, seconds)
    free.append(connection)
    return seconds


async def overload(port: int) -> tuple[Tally, float]:
    """Return the tally, and the seconds after which a request took its usual time again."""
    free: list[Connection] = []
    usual = statistics.median([await one(free, port, Tally()) for _ in range(20)])
    tally, tasks = Tally(), set[asyncio.Task[float]]()
    started = due = time.perf_counter()
    while due < started + SECONDS:
        due += random.expovariate(TIMES / ITEM_S)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(free, port, tally))
        tasks.add(task)
    ended = time.perf_counter()
    recovery = await recovered(port, usual, ended)
    await asyncio.gather(*tasks)
    return tally, recovery


async def recovered(port: int, usual: float, ended: float) -> float:
    probe = [Connection(port)]
    while True:
        tally = Tally()
        if await one(probe, port, tally) < 2 * usual and tally.accepted_s:
            return time.perf_counter() - ended
        await asyncio.sleep(0.05)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rewards.toml").write_text(CONFIG)
        path = os.pathsep.join([str(KINDS), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {"PYTHONPATH": path}
        rounds = []
        with Stack(config=folder / "rewards.toml", directory=folder / "stack", threads=1, env=env) as running:
            for _ in range(REPETITIONS):
                tally, recovery = asyncio.run(overload(running.port))
                rounds.append((tally, recovery))
                print(json.dumps(described(tally, recovery)), file=sys.stderr, flush=True)
    worst = {key: max(described(*one)[key] for one in rounds) for key in ("wrong", "timed_out", "unclean")}
    result = {
        key: round(statistics.median(described(*one)[key] for one in rounds), 3)
        for key in ("p99_of_deadline", "recovery_s", "accepted_of_capacity", "refused_share", "refused_after_s")
    }
    result = {**worst, **result, "offered_of_capacity": TIMES, "seconds": SECONDS}
    RESULTS.write_text(json.dumps({"machine": machine(), "repetitions": REPETITIONS, **result}, indent=2) + "\n")
    print(json.dumps(result))


def described(tally: Tally, recovery_s: float) -> dict[str, float]:
    accepted = sorted(tally.accepted_s)
    total = len(accepted) + len(tally.refused_s) + tally.unclean
    return {
        "wrong": tally.wrong,
        "timed_out": tally.timed_out,
        "unclean": tally.unclean,
        "p99_of_deadline": accepted[int(0.99 * len(accepted))] / DEADLINE_S,
        "recovery_s": recovery_s,
        "accepted_of_capacity": len(accepted) * ITEM_S / SECONDS,
        "refused_share": len(tally.refused_s) / total,
        "refused_after_s": statistics.median(tally.refused_s),
    }


if __name__ == "__main__":
    main()
