"""`guerdon pipeline NAME`: a research system from data to report; the same command goes on where it was."""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from long_work import exit_status
from long_work.command_error import CommandError
from research_pipelines import served, systems, time_left
from research_pipelines.failure import PipelineError
from research_pipelines.plan import Plan
from research_pipelines.record import Record, missing
from research_pipelines.servers import Servers
from research_pipelines.stage import Stage
from research_pipelines.table import shown


def main(argv: list[str]) -> int:
    """Run the command; return the exit status: that of the stage that failed, 130 or 143 when interrupted."""
    options = parser().parse_args(argv)
    plan = planned(options)
    stages: list[Stage] = systems.system(options.name).stages(plan)
    given = {"reward_url": options.reward_url, "judge_url": options.judge_url}
    others = partial(served.versions, options.reward_url) if options.reward_url else None
    try:
        print(shown(options.name, plan, stages, Record(options.name, plan, others)))
        if options.dry_run:
            return 0
        urls = {name: url for name, url in given.items() if url}
        threads = None if plan.size == "real" else 1  # the trainer needs the other core
        with _terminated(), _locked(plan.out) as lock, Servers(plan.out, urls, threads=threads) as servers:
            record = Record(options.name, plan, others)  # once more: another pipeline may just have ended here
            run(stages, record, servers, plan.out, lock)
    except CommandError as error:
        print(f"guerdon pipeline: {error}", file=sys.stderr)
        return error.status if isinstance(error, PipelineError) else 1
    except KeyboardInterrupt as interrupt:
        print("guerdon pipeline: interrupted; the same command goes on", file=sys.stderr)
        return 143 if str(interrupt) == "SIGTERM" else 130
    print(f"\nAll of it lies in {plan.out}.")
    return 0


def parser() -> argparse.ArgumentParser:
    told = "\n".join(f"  {name:<14}{systems.summary(name)}" for name in systems.names())
    options = argparse.ArgumentParser(
        prog="guerdon pipeline",
        description=f"Run a research system from its data to its report:\n\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("name", choices=systems.names(), metavar="NAME")
    options.add_argument(
        "--size",
        choices=("real", "proof", "smoke"),
        default="real",
        help="real: the original system's numbers, for GPUs (default); proof: small models, minutes on two CPU cores; "
        "smoke: every stage, as small as it can be",
    )
    options.add_argument("--out", type=Path, help="where all of it goes (default: runs/NAME-SIZE)")
    options.add_argument("--seeds", type=_seeds, help="of the training runs, e.g. 0,1,2 (default: 0; proof: 0,1,2)")
    options.add_argument("--policy", help="train another model: hub id, directory, GGUF file or package:NAME")
    options.add_argument("--dry-run", action="store_true", help="print the stages, their calls and tokens; run nothing")
    options.add_argument("--reward-url", help="a reward server that runs already and serves this pipeline's rewards")
    options.add_argument("--judge-url", help="a judge server that runs already")
    return options


def planned(options: argparse.Namespace) -> Plan:
    seeds = options.seeds or ((0, 1, 2) if options.size == "proof" else (0,))
    out = options.out or Path("runs") / f"{options.name}-{options.size}"
    return Plan(out=out.resolve(), size=options.size, seeds=seeds, policy=options.policy)


def run(stages: Sequence[Stage], record: Record, servers: Servers, out: Path, lock: int) -> None:
    """Run what is not done yet, and all that follows it.

    Raises:
        PipelineError: a stage failed, or did not make what it should.
    """
    if said := record.supersede(stages):
        print(said, file=sys.stderr)
    first = record.done(stages)
    for number, stage in enumerate(stages[first:], first + 1):
        if ahead := time_left.said(stages[: number - 1], stages[number - 1 :], record.seconds):
            print(f"\n{ahead}", file=sys.stderr, flush=True)
        arguments = stage.arguments(servers.for_stage(stage), out)
        print(f"\n── {number}/{len(stages)} {stage.name}: guerdon {' '.join(arguments)}", file=sys.stderr, flush=True)
        started = time.monotonic()
        record.begin(stage)
        status = _run(arguments, lock)
        if status != 0:
            raise PipelineError(f"{stage.name} ended with status {status}; {_next(status)}", status)
        if absent := missing(stage):
            raise PipelineError(f"{stage.name} ended well, but did not make {', '.join(map(str, absent))}")
        record.end(stage, time.monotonic() - started)


def _next(status: int) -> str:
    if status == exit_status.DIAGNOSED:
        return "it ended itself: what its diagnosis names has to change first, the same command comes to the same end"
    return "the same command goes on from there"


def _run(arguments: Sequence[str], lock: int) -> int:
    # The stage inherits the folder's lock: should this process be killed, no second one joins a stage that still runs.
    child = subprocess.Popen([sys.executable, "-m", "guerdon.cli", *arguments], pass_fds=(lock,))
    try:
        status = child.wait()
    except KeyboardInterrupt as interrupt:  # the terminal has told the stage as well; of a SIGTERM it does not know
        if str(interrupt) == "SIGTERM":
            child.terminate()
        child.wait()
        raise
    return status if status >= 0 else 128 - status


@contextmanager
def _locked(out: Path) -> Iterator[int]:
    out.mkdir(parents=True, exist_ok=True)
    lock = os.open(out / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    except BlockingIOError:
        raise PipelineError(f"a pipeline, or a stage it has left behind, still works in {out}") from None
    finally:
        os.close(lock)


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end things as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers, e.g. 0,1,2") from None
    if len(set(seeds)) != len(seeds):
        raise argparse.ArgumentTypeError(f"{text!r} names a seed twice")
    return seeds
