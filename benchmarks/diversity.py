"""What diversity costs: Self-BLEU against NLTK and fast-bleu, semantic diversity and the polychromic advantage.

Run it with `python benchmarks/diversity.py`. The peers are installed into environments of their own under
~/.cache/guerdon/bench-peers (fast-bleu needs a C++ compiler) and are timed there, from tokenised texts to the number,
in turn with ours, so that a slow moment of the machine hits both. It prints one JSON line at the end, which is also
written to benchmarks/results/diversity.json with every time. `vs_nltk` is at 64 texts of 60 words, `vs_fast_bleu` at
1,000; both count the whole of Self-BLEU-4, method1.
"""

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

from reward_server.rewards.variety.cosine import semantic, semantic_own, stacked
from reward_server.rewards.variety.ngrams import NgramCounts
from reward_server.rewards.variety.self_bleu import against_others, self_bleu
from reward_server.rewards.variety.subsets import advantages

REPETITIONS = 5
WORDS = 60
PEERS = Path.home() / ".cache" / "guerdon" / "bench-peers"
RESULTS = Path(__file__).parent / "results" / "diversity.json"

TIMED = """
import json, statistics, sys, time
{setup}
def timed(texts):
    started = time.perf_counter()
    value = statistics.fmean({scores})
    return time.perf_counter() - started, value
for line in sys.stdin:
    print(json.dumps(timed(json.loads(line))), flush=True)
"""
NLTK = TIMED.format(
    setup="from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu\n"
    "smooth = SmoothingFunction().method1",
    scores="sentence_bleu(texts[:i] + texts[i + 1:], text, smoothing_function=smooth) for i, text in enumerate(texts)",
)
FAST_BLEU = TIMED.format(
    setup="from fast_bleu import SelfBLEU", scores="SelfBLEU(texts, {4: (0.25,) * 4}).get_score()[4]"
)


class Peer:
    """Another implementation in an environment of its own, that times itself on what it is sent."""

    def __init__(self, requirement: str, program: str) -> None:
        folder = PEERS / requirement
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            install = [python, "-m", "pip", "install", "--quiet", requirement]
            built = subprocess.run(install, capture_output=True, text=True)
            if built.returncode:
                raise RuntimeError(f"{requirement} cannot be installed: {built.stderr.strip()[-500:]}")
            (folder / "ready").touch()
        self._process = subprocess.Popen(
            [python, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, texts: list[list[str]]) -> tuple[float, float]:
        """Return (seconds, Self-BLEU)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        seconds, value = json.loads(self._process.stdout.readline())
        return seconds, value

    def close(self) -> None:
        self._process.communicate()


def ours(texts: list[list[str]]) -> tuple[float, float]:
    texts = json.loads(json.dumps(texts))  # as the peers get them: strings whose hashes nobody has computed
    started = time.perf_counter()
    value = self_bleu(against_others(NgramCounts(texts), 4))
    seconds = time.perf_counter() - started
    assert value is not None
    return seconds, value


def group(count: int) -> list[list[str]]:
    """Return texts whose words are spread as in a language: the n-th word comes 1/n as often as the first."""
    vocabulary = [f"word{rank}" for rank in range(1, 5001)]
    weights = [1 / rank for rank in range(1, 5001)]
    chance = random.Random(0)
    return [chance.choices(vocabulary, weights, k=WORDS) for _ in range(count)]


def against(requirement: str, program: str, count: int, within: float) -> dict[str, Any]:
    """Time Self-BLEU of one group here and there, in turn.

    Raises:
        AssertionError: the two numbers differ by more than `within`.
    """
    try:
        peer = Peer(requirement, program)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        return {"peer": requirement, "texts": count, "ratio": None, "why": str(error)}
    texts = group(count)
    rounds = [(ours(texts), peer(texts)) for _ in range(1 + REPETITIONS)][1:]  # the first warms both up
    peer.close()
    for (_, our_value), (_, its_value) in rounds:
        assert abs(our_value - its_value) <= within, (our_value, its_value)
    here, there = ([seconds * 1000 for seconds, _ in column] for column in zip(*rounds, strict=True))
    ratio = statistics.median(there) / statistics.median(here)
    return {
        "peer": requirement,
        "texts": count,
        "ratio": round(ratio, 1),
        "ours_ms": spread(here),
        "peer_ms": spread(there),
    }


def spread(milliseconds: list[float]) -> list[float]:
    return [round(one, 3) for one in sorted(milliseconds)]


def timed(work: Callable[[], object]) -> list[float]:
    """Return the milliseconds of each repetition, sorted, after one to warm up."""
    found = []
    for _ in range(1 + REPETITIONS):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return spread(found[1:])


def semantic_ms(count: int = 10_000, width: int = 384) -> list[float]:
    """Time the set's semantic diversity and every member's own, from the embeddings as items hold them."""
    drawn = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    embeddings = list(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    def work() -> None:
        vectors = stacked(embeddings)
        semantic(vectors), semantic_own(vectors)

    return timed(work)


def polychromic_ms(count: int = 64, size: int = 16) -> list[float]:
    chance = random.Random(0)
    quality = [chance.random() for _ in range(count)]
    clusters = [chance.randrange(20) for _ in range(count)]
    return timed(lambda: advantages(quality, clusters, size))


def main() -> None:
    nltk = against("nltk==3.10.4", NLTK, 64, within=1e-12)
    fast_bleu = against("fast-bleu==0.0.90", FAST_BLEU, 1000, within=1e-6)  # its weights are single precision
    semantics, polychromics = semantic_ms(), polychromic_ms()
    result = {
        "vs_nltk": nltk["ratio"],
        "vs_fast_bleu": fast_bleu["ratio"],
        "semantic_10000_ms": round(statistics.median(semantics), 2),
        "polychromic_64_16_ms": round(statistics.median(polychromics), 3),
    }
    times = {"nltk": nltk, "fast_bleu": fast_bleu, "semantic_ms": semantics, "polychromic_ms": polychromics}
    written = {"machine": machine(), "repetitions": REPETITIONS, **result, "times": times}
    RESULTS.write_text(json.dumps(written, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
