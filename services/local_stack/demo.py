"""`guerdon demo`: train a small model against rewards served on this machine, and show what came of it."""

import argparse
import os
import sys
import time
from pathlib import Path

from local_stack.console import Console
from local_stack.failure import StackError
from local_stack.foreground import Foreground, refuse_failed
from local_stack.process import Process, ending
from local_stack.stack import Stack
from local_stack.watchdog import Watchdog

TRAINER = [sys.executable, "-m", "guerdon.cli", "train", "demo"]
CHECKPOINT_S = 15.0
"""How long an interrupted trainer may take to save what it has."""


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon demo`."""
    options = argparse.ArgumentParser(
        prog="guerdon demo",
        description="Train a small model with GRPO against rewards served on this machine, and draw what it learned.",
    )
    options.add_argument("--steps", type=int, help="optimiser steps")
    options.add_argument("--policy", help="model to train: a local path or a model id (default: a small bundled one)")
    options.add_argument("--out", type=Path, help="directory of the results (default: the next free runs/demo-N)")
    options.add_argument("--seed", type=int, help="seed of data, sampling and initial weights")
    options.add_argument("--port", type=int, default=0, help="port of the API (default: a free one)")
    options.add_argument("--keep-up", action="store_true", help="keep the reward server running after the training")
    return options


def main(argv: list[str]) -> int:
    """Run the demo; return the trainer's exit status, 1 when the stack failed, 130 when interrupted."""
    options = parser().parse_args(argv)
    options.out = options.out or next_free(Path("runs"))
    console = Console.terminal()
    try:
        # one thread for the worker's models: the trainer needs the cores
        with (
            Foreground() as foreground,
            Stack(
                port=options.port, redis_url=os.environ.get("GUERDON_REDIS_URL"), threads=1, console=console
            ) as stack,
        ):
            print(f"Rewards are served at {stack.url} (logs: {stack.directory}).\n", flush=True)
            code = train(stack, options)
            print(closing(options, code), flush=True)
            if options.keep_up:
                print(f"The rewards are still served at {stack.url}; Ctrl-C stops them.", flush=True)
                console.line(f"{foreground.stay(stack)}: stopping")
    except StackError as error:
        console.line(f"guerdon demo: {error}")
        return 1
    except KeyboardInterrupt as interrupt:
        console.line(f"guerdon demo: {interrupt or 'interrupted'}: all is stopped; what there is lies in {options.out}")
        return 130
    return code


def train(stack: Stack, options: argparse.Namespace) -> int:
    """Run the trainer in this terminal; an interrupt reaches it, and it is waited for."""
    trainer = Process("trainer", [*TRAINER, *arguments(stack.url, options)], log=None)
    watchdog = Watchdog()
    trainer.start(watchdog)
    try:
        while (code := trainer.exit_code) is None:
            refuse_failed(stack)
            time.sleep(0.2)
    except BaseException:
        trainer.interrupt()
        trainer.wait(CHECKPOINT_S)
        raise
    finally:
        trainer.wait(0)
        watchdog.close()
    return code if code >= 0 else 128 - code


def arguments(url: str, options: argparse.Namespace) -> list[str]:
    given = {"--policy": options.policy, "--steps": options.steps, "--seed": options.seed, "--out": options.out}
    pairs = [[name, str(value)] for name, value in given.items() if value is not None]
    return ["--reward-url", url, *(word for pair in pairs for word in pair)]


def closing(options: argparse.Namespace, code: int) -> str:
    if code != 0:
        return f"\nThe training {ending(code)}; what there is lies in {options.out}."
    made = [options.out / name for name in ("chart.png", "report.html")]
    shown = "\n".join(f"  {path.resolve()}" for path in made if path.exists()) or f"  {options.out.resolve()}"
    return f"""
What it learned:

{shown}

Go on with another model, by its id or from a local path:

  guerdon demo --policy Qwen/Qwen2.5-0.5B-Instruct
  guerdon demo --policy path/to/model --steps 200
"""


def next_free(parent: Path) -> Path:
    """Return `demo-1`, or the next of its kind that does not exist: a second demo leaves the first one alone."""
    return next(path for number in range(1, sys.maxsize) if not (path := parent / f"demo-{number}").exists())
