"""A thousand comparisons through the judge server: against the least they can take, a bare client, and OpenJudge.

Run it with `python benchmarks/judge_throughput.py`. It installs OpenJudge into an environment of its own, starts
everything in turn, and prints one JSON line at the end, which is also written, with every repetition's figures, to
benchmarks/results/judge_throughput.json. The judge is peers/chat_server.py: 200 ms a call, 50 at a time. Each
repetition starts the judge server on an empty ledger, and again on the full one.

`of_minimum` is seconds over those that 2,000 calls must take; `bare_…` the same for AsyncOpenAI with a semaphore, and
`openjudge_…` for OpenJudge. `of_rate_limit` is the same for the slower of two judges with a limit on requests and on
tokens a minute. Processor time is that of the asking process alone, without starting it.
"""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from judge_process import COMPLETION_PRICE, PROMPT_PRICE, cpu_s, judge, judge_server
from machine import machine
from peers import venv
from provider import CONCURRENCY, LATENCY_S, Provider, provider

from guerdon.judge_client import AsyncJudgeClient, JudgeClient
from guerdon.judge_messages import CompareRequest, CompareResponse, Comparison, Winner
from judge_server.judges import Judge
from judge_server.judgment.rendering import compare_turns
from judge_server.judgment.schemas import compare_schema

REPETITIONS = 3
COMPARISONS, LIMITED = 1000, 200
CHUNK, CHUNKS_AT_ONCE = 50, 4
RPM = 1200
WINDOW_S, BURST_S = 10, 1.0
PEERS = Path(__file__).parent / "peers"
RESULTS = Path(__file__).parent / "results" / "judge_throughput.json"

Pair = dict[str, str]
Figures = dict[str, float]


def pairs(count: int, seed: int) -> tuple[list[Pair], list[Winner]]:
    """Return pairs of answers as long as a chat model's, and who wins each; a tenth are ties."""
    chosen = random.Random(seed)
    words = ["".join(chosen.choices("abcdefghijklmnopqrstuvwxyz", k=chosen.randint(2, 9))) for _ in range(2000)]

    def answer(worth: int) -> str:
        return f"{' '.join(chosen.choices(words, k=chosen.randint(60, 240)))}. This answer is worth {worth} of 10."

    made: list[Pair] = []
    winners: list[Winner] = []
    for _ in range(count):
        a, b = chosen.randint(0, 10), chosen.randint(0, 10)
        prompt = " ".join(chosen.choices(words, k=40))
        made.append({"prompt": prompt, "answer_a": answer(a), "answer_b": answer(b)})
        winners.append("tie" if a == b else "a" if a > b else "b")
    return made, winners


async def compared(server: str, name: str, asked: list[Pair], winners: list[Winner]) -> tuple[float, int]:
    """Have pairs compared and every verdict checked; return seconds, and the calls that were sent for it."""
    slots = asyncio.Semaphore(CHUNKS_AT_ONCE)
    comparisons = [Comparison(**pair) for pair in asked]
    async with AsyncJudgeClient(server) as client:

        async def chunk(start: int) -> CompareResponse:
            async with slots:
                return await client.compare(
                    CompareRequest(comparisons=comparisons[start : start + CHUNK], judge=name, run="benchmark")
                )

        began = time.perf_counter()
        answers = await asyncio.gather(*map(chunk, range(0, len(comparisons), CHUNK)))
        seconds = time.perf_counter() - began
    verdicts = [verdict for answer in answers for verdict in answer.verdicts]
    if wrong := [found for found, right in zip(verdicts, winners, strict=True) if found.winner != right]:
        raise RuntimeError(f"{len(wrong)} verdicts are wrong, the first: {wrong[0].status} {wrong[0].error}")
    return seconds, sum(answer.usage.calls for answer in answers)


def ours(folder: Path, there: Provider, asked: list[Pair], winners: list[Winner]) -> Figures:
    """Compare, stop the server, and compare again."""
    calls, judges = 2 * len(asked), judge("guerdon", there.url)
    with judge_server(folder, judges) as (server, pid):
        before = cpu_s(pid)
        seconds, _ = asyncio.run(compared(server, "guerdon", asked, winners))
        spent_s = cpu_s(pid) - before
    counts = there.counts()["guerdon"]
    with judge_server(folder, judges) as (server, _):
        check_spending(server, counts, calls)
        rerun_s, rerun_calls = asyncio.run(compared(server, "guerdon", asked, winners))
        if there.counts() or rerun_calls:
            raise RuntimeError("the second run asked again what the ledger knows")
        check_spending(server, counts, calls)
    return {
        "seconds": seconds,
        "cpu_ms_per_call": spent_s * 1000 / calls,
        "rerun_seconds": rerun_s,
        "rerun_calls": rerun_calls,
        "most_under_way": counts["most_under_way"],
        "tokens_per_call": (counts["prompt_tokens"] + counts["completion_tokens"]) / calls,
    }


def check_spending(server: str, counts: dict[str, int], calls: int) -> None:
    """Check that the ledger, read by a new process, has what the provider has counted, and no call was refused."""
    with JudgeClient(server) as client:
        [budget] = client.budget()
    tokens = counts["prompt_tokens"] + counts["completion_tokens"]
    cost = (counts["prompt_tokens"] * PROMPT_PRICE + counts["completion_tokens"] * COMPLETION_PRICE) / 1e6
    exact = budget.spent_tokens == tokens and abs(budget.spent_cost - cost) < 1e-9 * calls
    if not exact or budget.presumed_tokens or counts["calls"] != calls or counts["refused"]:
        raise RuntimeError(f"the ledger has {budget!r}, the provider counted {tokens} tokens, {cost}: {counts}")


def limited(folder: Path, there: Provider, tokens_per_call: float) -> Figures:
    """Compare with two judges at the same time, one that limits requests, one that limits tokens."""
    asked, winners = pairs(LIMITED, seed=REPETITIONS)
    tpm = round(RPM * tokens_per_call)
    judges = judge("requests", there.url, rpm=RPM) + judge("tokens", there.url, tpm=tpm)

    async def both(server: str) -> list[tuple[float, int]]:
        return await asyncio.gather(*(compared(server, name, asked, winners) for name in ("requests", "tokens")))

    with judge_server(folder, judges) as (server, _):
        (requests_s, _), (tokens_s, _) = asyncio.run(both(server))
    counts = there.counts()
    used = counts["tokens"]["prompt_tokens"] + counts["tokens"]["completion_tokens"]
    busiest = most_within(counts["requests"]["arrivals"], WINDOW_S)
    if busiest > (WINDOW_S + BURST_S) * RPM / 60:
        raise RuntimeError(f"{busiest} calls within {WINDOW_S} s exceed {RPM} a minute")
    return {
        "of_request_limit": requests_s / (2 * LIMITED * 60 / RPM),
        "of_token_limit": tokens_s / (used * 60 / tpm),
        "busiest_window_of_limit": busiest / (WINDOW_S * RPM / 60),
    }


def most_within(moments: list[float], window_s: float) -> int:
    moments = sorted(moments)
    return max(sum(start <= moment < start + window_s for moment in moments) for start in moments)


def said(interpreter: Path | str, script: str, there: Provider, material: Path) -> dict[str, Any]:
    """Run another side as a process of its own, and return what it prints."""
    command = [interpreter, PEERS / script, there.url, material]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bare(folder: Path, there: Provider, asked: list[Pair]) -> Figures:
    """Send what our server sends, by AsyncOpenAI alone."""
    turns = [
        compare_turns(pair["prompt"], shown, None, None)
        for pair in asked
        for shown in ((pair["answer_a"], pair["answer_b"]), (pair["answer_b"], pair["answer_a"]))
    ]
    schema = compare_schema(Judge(name="bare", kind="openai_compatible", base_url=there.url))
    wanted = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
    settings = {"model": "bare", "max_tokens": 1024, "temperature": 0.0, "top_p": 1.0, "response_format": wanted}
    bodies = [settings | {"messages": [{"role": role, "content": text} for role, text in one]} for one in turns]
    (folder / "bodies.json").write_text(json.dumps(bodies))
    found = said(sys.executable, "bare_chat.py", there, folder / "bodies.json")
    if not all('"winner"' in (text or "") for text in found["said"]):
        raise RuntimeError("the bare client has not got every reply")
    return figures(found, there.counts()["bare"], len(bodies))


def openjudge(folder: Path, there: Provider, asked: list[Pair], winners: list[Winner]) -> Figures:
    (folder / "pairs.json").write_text(json.dumps(asked))
    found = said(venv.python("py-openjudge"), "openjudge_pairwise.py", there, folder / "pairs.json")
    score = {"a": (1.0, 0.0), "b": (0.0, 1.0), "tie": (0.5, 0.5)}
    if found["scores"] != [one for winner in winners for one in score[winner]]:
        raise RuntimeError("OpenJudge has not read every verdict")
    return figures(found, there.counts()["openjudge"], len(found["scores"]))


def figures(found: dict[str, Any], counts: dict[str, int], calls: int) -> Figures:
    if counts["calls"] - counts["refused"] != calls:
        raise RuntimeError(f"the provider has counted {counts}, not {calls} calls")
    return {"seconds": found["seconds"], "cpu_ms_per_call": found["cpu_s"] * 1000 / calls, "refused": counts["refused"]}


def one_round(folder: Path, there: Provider, repetition: int) -> dict[str, Figures]:
    """Measure every side once, in turn, so that a slow moment of the machine hits all of them."""
    asked, winners = pairs(COMPARISONS, seed=repetition)
    folder.mkdir()
    found = {
        "guerdon": ours(folder / "all", there, asked, winners),
        "bare": bare(folder, there, asked),
        "openjudge": openjudge(folder, there, asked, winners),
    }
    found["limited"] = limited(folder / "limited", there, found["guerdon"]["tokens_per_call"])
    found = {side: {name: round(value, 3) for name, value in own.items()} for side, own in found.items()}
    print(json.dumps(found), flush=True)
    return found


def summary(rounds: list[dict[str, Figures]]) -> Figures:
    """Return the medians over the repetitions, and how the sides compare."""

    def median(side: str, name: str) -> float:
        return statistics.median(one[side][name] for one in rounds)

    least_s = 2 * COMPARISONS / CONCURRENCY * LATENCY_S
    of_limits = {name: median("limited", name) for name in ("of_request_limit", "of_token_limit")}
    found = {
        "of_minimum": median("guerdon", "seconds") / least_s,
        "bare_of_minimum": median("bare", "seconds") / least_s,
        "openjudge_of_minimum": median("openjudge", "seconds") / least_s,
        "vs_openjudge": median("openjudge", "seconds") / median("guerdon", "seconds"),
        "cpu_ms_per_call": median("guerdon", "cpu_ms_per_call"),
        "bare_cpu_ms_per_call": median("bare", "cpu_ms_per_call"),
        "openjudge_cpu_ms_per_call": median("openjudge", "cpu_ms_per_call"),
        "rerun_calls": sum(one["guerdon"]["rerun_calls"] for one in rounds),
        "rerun_seconds": median("guerdon", "rerun_seconds"),
        "of_rate_limit": max(of_limits.values()),
        **of_limits,
    }
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    venv.python("py-openjudge")
    with tempfile.TemporaryDirectory() as name, provider() as there:
        rounds = [one_round(Path(name) / str(repetition), there, repetition) for repetition in range(REPETITIONS)]
    result = summary(rounds)
    conditions: Figures = {"repetitions": REPETITIONS, "comparisons": COMPARISONS, "per_request": CHUNK}
    conditions |= {"requests_at_once": CHUNKS_AT_ONCE, "concurrency": CONCURRENCY, "latency_s": LATENCY_S, "rpm": RPM}
    versions = {"openai": version("openai"), **venv.ALONE}
    written = {"machine": machine(), **conditions, **versions, **result, "rounds": rounds}
    RESULTS.write_text(json.dumps(written, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
