"""How the server grows: two workers against one, the cost of an item as the queue fills, the memory of the API.

Run it with `python benchmarks/scale.py`. It ends with one JSON line, which is also written, with the machine's
description, to benchmarks/results/scale.json:

- two_workers: throughput of two workers / of one, for a model that spends its time waiting (as a GPU's does from
  outside), 64 requests at a time.
- cost_flat: the dearest item / the cheapest, in processor time of API, worker and Redis, over queues in which 10^2 to
  10^5 items wait at any time; each is the median of its repetitions.
- memory_growth_mib: resident memory of the API after 10^6 scored items, less that after the first 10^5.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from load import closed_loop, request, scored
from machine import machine

from local_stack.stack import Stack

KINDS = Path(__file__).parents[1] / "tests" / "end_to_end" / "kinds"
CONFIG = '[sleepy]\nkind = "sleepy"\nseconds = 0.02\n[queued]\nkind = "length"\nruns = "worker"\n'
RESULTS = Path(__file__).parent / "results" / "scale.json"
REPETITIONS = 3
QUEUED = (100, 1000, 10_000, 100_000)
ITEMS = 100
"""Items in one request."""
MILLION = int(os.environ.get("SCALE_ITEMS", 1_000_000))


def stack(folder: Path, workers: int) -> Stack:
    env = {
        "PYTHONPATH": os.pathsep.join([str(KINDS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "GUERDON_REWARD_MAX_IN_FLIGHT": "200000",
        "GUERDON_REWARD_CACHE_TTL_S": "60",
        "GUERDON_REWARD_CACHE_ENTRIES": "50000",
    }
    return Stack(
        config=folder / "rewards.toml", directory=folder / f"stack{workers}", threads=1, workers=workers, env=env
    )


def texts(count: int) -> list[str]:
    salt = os.urandom(6).hex()
    return [f"{salt} {i} words of a completion" for i in range(count)]


def sleep_bound(port: int, count: int = 400) -> float:
    """Return items a second of a model that sleeps 20 ms for each: at most 50 a second for each worker."""
    bodies = [request("sleepy", [text]) for text in texts(count)]
    return asyncio.run(closed_loop(port, bodies, 64, scored)).per_s


def item_us(running: Stack, waiting: int) -> float:
    """Return the processor's microseconds for each item, of API, worker and Redis, while so many items wait."""
    requests = max(waiting, 20_000) // ITEMS
    bodies = [request("queued", texts(ITEMS), deadline_s=600) for _ in range(requests)]
    before = processor_s(running)
    asyncio.run(closed_loop(running.port, bodies, waiting // ITEMS, scored))
    return (processor_s(running) - before) / (requests * ITEMS) * 1e6


def processor_s(running: Stack) -> float:
    ticks = 0
    for process in running.processes.values():
        after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])  # user and system time
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def memory_growth_mib(running: Stack) -> tuple[float, float]:
    """Return the API's resident memory after a tenth of a million items, and how much it grew to the million."""
    bodies = (request("queued", texts(500)) for _ in range(MILLION // 500))
    started, first = time.monotonic(), 0.0
    for done in range(10):
        some = [next(bodies) for _ in range(MILLION // 5000)]
        asyncio.run(closed_loop(running.port, some, 16, scored))
        now = resident_mib(running.processes["reward-api"].pid)
        first = first or now
        left = (time.monotonic() - started) / (done + 1) * (9 - done)
        print(f"{(done + 1) * MILLION // 10} items: API {now:.0f} MiB, about {left:.0f} s left", file=sys.stderr)
    return first, now - first


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rewards.toml").write_text(CONFIG)
        with stack(folder, 1) as one, stack(folder, 2) as two:
            for running in (one, two):
                sleep_bound(running.port, 100)
            rounds = [(sleep_bound(one.port), sleep_bound(two.port)) for _ in range(REPETITIONS)]
        with stack(folder, 1) as one:
            item_us(one, 1000)
            costs = {waiting: [0.0] * REPETITIONS for waiting in QUEUED}
            for repetition in range(REPETITIONS):
                for waiting in QUEUED:
                    costs[waiting][repetition] = item_us(one, waiting)
                    print(f"{waiting} waiting: {costs[waiting][repetition]:.0f} us an item", file=sys.stderr)
            base, growth = memory_growth_mib(one)
    medians = {waiting: statistics.median(some) for waiting, some in costs.items()}
    result = {
        "two_workers": round(statistics.median(two / one for one, two in rounds), 3),
        "one_worker_per_s": round(statistics.median(one for one, _ in rounds), 1),
        "item_us": {str(waiting): round(cost, 1) for waiting, cost in medians.items()},
        "cost_flat": round(max(medians.values()) / min(medians.values()), 3),
        "api_mib": round(base, 1),
        "memory_growth_mib": round(growth, 1),
        "scored_items": MILLION,
    }
    RESULTS.write_text(json.dumps({"machine": machine(), "repetitions": REPETITIONS, **result}, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
