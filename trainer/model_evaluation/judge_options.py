"""The options that say who judges and what it may cost, the same for every command that asks a judge."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from guerdon.judge_messages import MAX_COST, MAX_TOKENS, Allowance, JudgeInfo
from long_work.real_number import from_zero
from long_work.whole_number import positive
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.judge import Judge, found
from model_evaluation.judge_process import judge_server

TOKEN = "GUERDON_JUDGE_TOKEN"  # noqa: S105 - the name of a variable
MAX_CRITERIA = 8000
"""Characters of what a judge server takes as criteria."""


def add(options: argparse.ArgumentParser) -> None:
    """Add them to a command's options."""
    group = options.add_argument_group("judge")
    group.add_argument("--judge", metavar="NAME", help="which of the server's judges (default: its own default)")
    group.add_argument(
        "--judge-url",
        type=server_url,
        metavar="URL",
        help=f"a running judge server, its token in {TOKEN}; without it, one is started for the command",
    )
    group.add_argument("--judges", type=Path, metavar="FILE", help="a judges.toml for the server that is started")
    group.add_argument("--max-cost", type=cost, help="what judging may cost in all, in the judge's currency")
    group.add_argument("--max-judge-tokens", type=tokens, help="tokens that judging may take in all")


@contextmanager
def server(options: argparse.Namespace) -> Iterator[str]:
    """Yield the URL of the judge server that the options name, or of one that runs meanwhile.

    Raises:
        EvaluationError: the options contradict each other, or it does not start.
    """
    if options.judge_url and options.judges:
        raise EvaluationError("--judges is for a judge server that is started; the one at --judge-url has its own")
    if options.judges and not options.judges.is_file():
        raise EvaluationError(f"there is no file {options.judges} (--judges)")
    if options.judge_url:
        yield options.judge_url
        return
    with judge_server(options.out / "judge", options.judges) as url:
        yield url


def asked(options: argparse.Namespace, url: str) -> JudgeInfo:
    """Return the judge that the options name; raises as `judge.found` does."""
    return found(url, token(), options.judge)


def judge(options: argparse.Namespace, url: str, info: JudgeInfo, run: str) -> Judge:
    limited = options.max_cost is not None or options.max_judge_tokens is not None
    allowance = Allowance(cost=options.max_cost, tokens=options.max_judge_tokens) if limited else None
    return Judge(url, token(), info, run, allowance)


def token() -> str | None:
    return os.environ.get(TOKEN) or None


def cost(text: str) -> float:
    number = from_zero(text)
    if number > MAX_COST:
        raise argparse.ArgumentTypeError(f"{MAX_COST:g} at most")
    return number


def tokens(text: str) -> int:
    number = positive(text)
    if number > MAX_TOKENS:
        raise argparse.ArgumentTypeError(f"{MAX_TOKENS} at most")
    return number


def criteria(text: str) -> str:
    """Return what a judge is to look at, if a judge server would take it."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the text is empty; leave the option out to judge overall quality")
    if len(text) > MAX_CRITERIA:
        raise argparse.ArgumentTypeError(f"{len(text)} characters; {MAX_CRITERIA} at most")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise argparse.ArgumentTypeError("the text is no valid UTF-8")
    return text


def server_url(text: str) -> str:
    """Return a server's URL without a slash at its end."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port above 65535, a broken IPv6 address
        whole = False
    if not whole or any(letter.isspace() for letter in text):
        raise argparse.ArgumentTypeError(f"{text!r} is no http(s)://HOST[:PORT], e.g. http://127.0.0.1:8001")
    return text.rstrip("/")
