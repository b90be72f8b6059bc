"""What HTTP, queue, batcher and worker cost: requests through the whole path against a bare FastAPI, side by side.

Run it with `python benchmarks/queue_overhead.py`. It starts its own stack and prints one JSON line at the end, which
is also written to benchmarks/results/queue_overhead.json. `on` is the server as it is served, with validation and
cache; `off` has the score cache switched off. `bare` is an empty FastAPI route on the same machine.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine import machine

from local_stack.address import free_port
from local_stack.stack import Stack

REPETITIONS = 3
CONFIG = '[inline]\nkind = "length"\n[queued]\nkind = "length"\nruns = "worker"\n'
BARE = """
from fastapi import FastAPI, Request
app = FastAPI()
@app.post("/v1/score")
async def score(request: Request):
    await request.body()
    return {"ok": True}
"""
RESULTS = Path(__file__).parent / "results" / "queue_overhead.json"


@dataclass(frozen=True)
class Load:
    """One kind of load: requests of `items` items, `clients` at a time, `total` of them."""

    reward: str
    items: int
    clients: int
    total: int


LONE = Load("queued", 1, 1, 400)
SINGLES = Load("queued", 1, 64, 3000)
BATCHES = Load("queued", 64, 64, 1200)
INLINE_LONE = Load("inline", 1, 1, 400)
INLINE = Load("inline", 1, 64, 4000)


def body(load: Load, salt: str, number: int) -> bytes:
    """Return a request whose items nobody has asked for before, so that the cache is looked up in vain."""
    items = [{"prompt": "p", "completion": f"{salt} {number} {i} words of a completion"} for i in range(load.items)]
    return json.dumps({"rewards": [load.reward], "items": items}).encode()


async def client(port: int, bodies: list[bytes], seconds: list[float]) -> None:
    """Send bodies one after another over one connection, by hand: an HTTP library would cost more than the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /v1/score HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    for one in bodies:
        started = time.perf_counter()
        writer.write(head % len(one) + one)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        seconds.append(time.perf_counter() - started)
        if not answer.startswith(b"HTTP/1.1 200") or b'"value":null' in content:
            raise RuntimeError(f"a request failed: {content[:300]!r}")
    writer.close()


async def run(port: int, load: Load) -> tuple[float, float]:
    """Return (requests per second, median milliseconds) of one load."""
    salt, seconds = os.urandom(6).hex(), list[float]()
    bodies = [body(load, salt, number) for number in range(load.total)]
    started = time.perf_counter()
    await asyncio.gather(*(client(port, bodies[i :: load.clients], seconds) for i in range(load.clients)))
    return load.total / (time.perf_counter() - started), statistics.median(seconds) * 1000


def measure(port: int, load: Load) -> tuple[float, float]:
    return asyncio.run(run(port, load))


@contextmanager
def bare(folder: Path) -> Iterator[int]:
    port = free_port("127.0.0.1")
    (folder / "bare.py").write_text(BARE)
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen([*command, "--loop", "uvloop", "--http", "httptools"], cwd=folder)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    async def connect() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    asyncio.run(asyncio.wait_for(connect(), 30))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "rewards.toml"
        config.write_text(CONFIG)
        with (
            bare(folder) as plain,
            Stack(config=config, directory=folder / "on", threads=1) as on,
            Stack(config=config, directory=folder / "off", threads=1, env={"GUERDON_REWARD_CACHE": "false"}) as off,
        ):
            ports = {"bare": plain, "on": on.port, "off": off.port}
            for port in ports.values():
                measure(port, Load("queued", 8, 8, 200))  # warm up
            rounds = [one_round(ports) for _ in range(REPETITIONS)]
    result = {key: round(statistics.median(one[key] for one in rounds), 2) for key in rounds[0]}
    result |= ratios(result)
    RESULTS.write_text(json.dumps({"machine": machine(), "repetitions": REPETITIONS, **result}, indent=2) + "\n")
    print(json.dumps(result))


def one_round(ports: dict[str, int]) -> dict[str, float]:
    """Measure everything once, the servers in turn, so that a slow moment of the machine hits all of them."""
    found: dict[str, float] = {}
    for where, port in ports.items():
        found[f"{where}_lone_ms"] = measure(port, LONE)[1]
        found[f"{where}_singles_per_s"] = measure(port, SINGLES)[0]
        if where != "bare":
            found[f"{where}_inline_lone_ms"] = measure(port, INLINE_LONE)[1]
            found[f"{where}_inline_per_s"] = measure(port, INLINE)[0]
            found[f"{where}_items_per_s"] = measure(port, BATCHES)[0] * BATCHES.items
    print(json.dumps({key: round(value, 2) for key, value in found.items()}), flush=True)
    return found


def ratios(result: dict[str, float]) -> dict[str, float]:
    """Compare with the prototype's figures, scaled by how fast a bare FastAPI is here (there 0.2 ms and 5,000/s)."""
    slower = result["bare_lone_ms"] / 0.2
    busier = result["bare_singles_per_s"] / 5000
    return {
        "lone_vs_prototype": round(result["on_lone_ms"] / 1.5, 2),
        "singles_vs_prototype": round(result["on_singles_per_s"] / 1000, 2),
        "items_vs_prototype": round(result["on_items_per_s"] / 45_000, 2),
        "lone_vs_prototype_scaled": round(result["on_lone_ms"] / (1.5 * slower), 2),
        "singles_vs_prototype_scaled": round(result["on_singles_per_s"] / (1000 * busier), 2),
        "items_vs_prototype_scaled": round(result["on_items_per_s"] / (45_000 * busier), 2),
        "cache_costs_lone": round(result["on_lone_ms"] / result["off_lone_ms"], 2),
    }


if __name__ == "__main__":
    main()
