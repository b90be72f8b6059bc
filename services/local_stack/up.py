"""`guerdon up`: run the reward server, its worker and Redis on this machine until Ctrl-C."""

import argparse
import json
import os
import shlex
import time
from pathlib import Path

from local_stack.console import Console
from local_stack.failure import StackError
from local_stack.foreground import Foreground
from local_stack.stack import Stack
from local_stack.valkey import without_password

EXAMPLE = {
    "rewards": ["sql_cot"],
    "items": [
        {
            "prompt": "How many singers are there? SELECT count(*) FROM singer",
            "completion": "<think>Counting the rows of singer answers it.</think><score>0.9</score>",
            "reference": 0.95,
        }
    ],
}


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon up`."""
    options = argparse.ArgumentParser(
        prog="guerdon up",
        description="Run the reward server, its worker and Redis on this machine until Ctrl-C.",
        epilog="Every GUERDON_REWARD_… setting in the environment reaches the server and the worker. "
        "The stack ends with the shell that started it; under nohup it stays.",
    )
    options.add_argument("--port", type=int, default=8000, help="port of the API; 0 picks a free one (default 8000)")
    options.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    options.add_argument(
        "--redis-url",
        default=os.environ.get("GUERDON_REDIS_URL"),
        help="a Redis or Valkey to use instead of an embedded one; one with a password belongs into GUERDON_REDIS_URL, "
        "where other users of this machine cannot see it",
    )
    options.add_argument("--config", type=Path, help="a rewards.toml with the rewards to serve")
    options.add_argument("--data-dir", type=Path, help="keep the embedded Redis's data here (default: nothing is kept)")
    options.add_argument("--workers", type=positive, default=1, help="worker processes, each with all models")
    options.add_argument("--no-worker", action="store_true", help="run no worker here; one elsewhere uses --redis-url")
    return options


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1; --no-worker runs none")
    return number


def main(argv: list[str]) -> int:
    """Run the stack; return 0 when it was told to stop, 1 when it could not run."""
    options = parser().parse_args(argv)
    console = Console.terminal()
    stack = Stack(
        port=options.port,
        host=options.host,
        redis_url=options.redis_url,
        config=options.config,
        data=options.data_dir,
        worker=not options.no_worker,
        workers=options.workers,
        console=console,
    )
    started = time.monotonic()
    try:
        with Foreground() as foreground, stack:
            print(greeting(stack, time.monotonic() - started), flush=True)
            console.line(f"{foreground.stay(stack)}: stopping")
    except StackError as error:
        console.line(f"guerdon up: {error}")
        return 1
    except KeyboardInterrupt as interrupt:  # before it was up, or a second time while it was stopping
        console.line(f"guerdon up: {interrupt or 'interrupted'}: all is stopped")
        return 130
    console.line("stopped")
    return 0


def greeting(stack: Stack, seconds: float) -> str:
    password = f"  (its password: {stack.password_file})" if stack.password_file else ""
    return f"""
Guerdon is up after {seconds:.1f} s.

  API       {stack.url}
  docs      {stack.url}/docs
  metrics   {stack.url}/metrics
  redis     {without_password(stack.redis_url or "")}{password}
  logs      {stack.directory}

Score something:

{curl(stack)}

Ctrl-C stops it.
"""


def curl(stack: Stack) -> str:
    """Return a command line that scores one item."""
    token = """ -H "authorization: Bearer $GUERDON_REWARD_TOKEN\"""" if os.environ.get("GUERDON_REWARD_TOKEN") else ""
    body = shlex.quote(json.dumps(EXAMPLE))
    return f"curl -s {stack.url}/v1/score{token} -H 'content-type: application/json' -d {body}"
