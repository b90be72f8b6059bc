"""`guerdon up`: run the reward server, its worker and Redis, and the judge server on this machine until Ctrl-C."""

import argparse
import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

from local_stack.console import Console
from local_stack.failure import StackError
from local_stack.foreground import Foreground
from local_stack.judge import missing_for_model, missing_packages, wants_model
from local_stack.stack import Stack
from local_stack.valkey import without_password

DEFAULT_JUDGE_PORT = 8001
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
COMPARISON = {
    "comparisons": [
        {
            "prompt": "Name the largest planet of the solar system, in one sentence.",
            "answer_a": "Jupiter is the largest planet of the solar system.",
            "answer_b": "I think it is Saturn.",
        }
    ]
}


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon up`."""
    options = argparse.ArgumentParser(
        prog="guerdon up",
        description="Run the reward server, its worker and Redis, and the judge server on this machine until Ctrl-C.",
        epilog="Every GUERDON_REWARD_… and GUERDON_JUDGE_… setting in the environment reaches the servers. "
        "The stack ends with the shell that started it; under nohup it stays.",
    )
    options.add_argument("--port", type=int, default=8000, help="port of the API; 0 picks a free one (default 8000)")
    options.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1); the judge server listens there too once GUERDON_JUDGE_TOKEN "
        "is set, else on loopback",
    )
    options.add_argument(
        "--redis-url",
        default=os.environ.get("GUERDON_REDIS_URL"),
        help="a Redis or Valkey to use instead of an embedded one; one with a password belongs into GUERDON_REDIS_URL, "
        "where other users of this machine cannot see it",
    )
    options.add_argument("--config", type=Path, help="a rewards.toml with the rewards to serve")
    options.add_argument(
        "--data-dir", type=Path, help="keep Redis's data and the judge's ledger here (default: no data is kept)"
    )
    options.add_argument("--workers", type=positive, default=1, help="worker processes, each with all models")
    options.add_argument("--no-worker", action="store_true", help="run no worker here; one elsewhere uses --redis-url")
    options.add_argument(
        "--judge-port", type=int, help="port of the judge server; 0 picks a free one (default 8001; 0 with --port 0)"
    )
    options.add_argument("--judges", type=Path, help="a judges.toml with the judges to ask")
    which = options.add_mutually_exclusive_group()
    which.add_argument("--no-judge", action="store_true", help="run no judge server")
    which.add_argument("--only-judge", action="store_true", help="run the judge server alone")
    options.add_argument("--ready-file", type=Path, help="once all is up, write the servers' URLs here as JSON")
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
    started = time.monotonic()
    try:
        refuse_unreadable(options.judges)
        if options.ready_file is not None:
            options.ready_file.unlink(missing_ok=True)  # of another run
        with Foreground() as foreground, stack_of(options, console) as stack:
            print(greeting(stack, time.monotonic() - started), flush=True)
            if options.ready_file is not None:
                tell_ready(stack, options.ready_file)
            console.line(f"{foreground.stay(stack)}: stopping")
    except (StackError, OSError) as error:
        console.line(f"guerdon up: {error}")
        return 1
    except KeyboardInterrupt as interrupt:  # before it was up, or a second time while it was stopping
        console.line(f"guerdon up: {interrupt or 'interrupted'}: all is stopped")
        return 130
    console.line("stopped")
    return 0


def stack_of(options: argparse.Namespace, console: Console) -> Stack:
    judge_port = options.judge_port
    if judge_port is None:
        judge_port = DEFAULT_JUDGE_PORT if options.port else 0
    return Stack(
        port=options.port,
        host=options.host,
        redis_url=options.redis_url,
        config=options.config,
        data=options.data_dir,
        worker=not options.no_worker,
        workers=options.workers,
        reward=not options.only_judge,
        judge=options.only_judge or (not options.no_judge and can_judge(console)),
        judge_port=judge_port,
        judges=options.judges,
        console=console,
    )


def can_judge(console: Console) -> bool:
    """Say whether the judge server is installed; without it the rewards are still served."""
    if missing := missing_packages():
        console.line(
            f"no judge server: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed; "
            "pip install 'guerdon[judge]' brings it, --no-judge does without"
        )
    return not missing


def refuse_unreadable(judges: Path | None) -> None:
    if judges is not None and not judges.is_file():
        raise StackError(f"there is no file {judges} (--judges)")


def tell_ready(stack: Stack, file: Path) -> None:
    """Write where the servers are; the file is there whole or not at all."""
    urls = {"reward_url": stack.url if stack.reward else None, "judge_url": stack.judge_url}
    writing = file.with_name(f".{file.name}.{os.getpid()}")
    writing.write_text(json.dumps(urls) + "\n", encoding="utf-8")
    writing.replace(file)


def greeting(stack: Stack, seconds: float) -> str:
    served = [*(reward_lines(stack) if stack.reward else []), *judge_lines(stack), f"logs      {stack.directory}"]
    tries = ["Score something:", curl(stack)] if stack.reward else []
    tries += ["Compare two answers:", compare_curl(stack)] if stack.judge_url else []
    lines = "\n".join(f"  {line}" for line in served)
    return "\n\n".join([f"\nGuerdon is up after {seconds:.1f} s.", lines, *tries, "Ctrl-C stops it.\n"])


def reward_lines(stack: Stack) -> list[str]:
    password = f"  (its password: {stack.password_file})" if stack.password_file else ""
    return [
        f"API       {stack.url}",
        f"docs      {stack.url}/docs",
        f"metrics   {stack.url}/metrics",
        f"redis     {without_password(stack.redis_url or '')}{password}",
    ]


def judge_lines(stack: Stack) -> list[str]:
    """Say where the judge is, and what its embedded model is worth."""
    if stack.local_judge is None:
        return []
    lines = [f"judge     {stack.judge_url}"]
    if stack.local_judge.model is not None:
        lines.append("          its embedded model, a base model of 270M parameters, is a stand-in: it shows that")
        lines.append("          everything is wired, and its verdicts are close to noise")
    elif wants_model(stack.judges) and (missing := missing_for_model()):
        lines.append(f"          without its embedded model: {', '.join(missing)} not installed (guerdon[demo])")
    return lines


def curl(stack: Stack) -> str:
    """Return a command line that scores one item."""
    return curl_command(f"{stack.url}/v1/score", "GUERDON_REWARD_TOKEN", EXAMPLE)


def compare_curl(stack: Stack) -> str:
    """Return a command line that compares two answers, by the default judge."""
    return curl_command(f"{stack.judge_url}/v1/compare", "GUERDON_JUDGE_TOKEN", COMPARISON)


def curl_command(url: str, token_variable: str, body: dict[str, Any]) -> str:
    token = f' -H "authorization: Bearer ${token_variable}"' if os.environ.get(token_variable) else ""
    return f"curl -s {url}{token} -H 'content-type: application/json' -d {shlex.quote(json.dumps(body))}"
