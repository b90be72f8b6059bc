"""The directory of an evaluation's results: one command at a time writes there."""

import argparse
import fcntl
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from long_work import exit_status
from model_evaluation.evaluation_error import EvaluationError

Asked = TypeVar("Asked")


@contextmanager
def opened(folder: Path) -> Iterator[Path]:
    """Make the directory and hold it; SIGTERM and SIGHUP end the block as Ctrl-C does.

    Raises:
        EvaluationError: it cannot be written, or another command is at it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be written: {error.strerror}; choose another --out") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EvaluationError(
                f"another command is writing to {folder}; wait for it, or choose another --out"
            ) from None
        former = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            yield folder
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def evaluated(
    command: str,
    argv: Sequence[str],
    options: argparse.Namespace,
    extras: str,
    what: Callable[[argparse.Namespace], Asked],
    measured: Callable[[argparse.Namespace, Asked], int],
) -> int:
    """Run a command whose results lie in `options.out`; return its exit status.

    Args:
        command: its name behind `guerdon`, and `argv` its arguments.
        extras: of `guerdon`, with which everything that it imports is installed.
        what: returns what is asked for, or refuses it before anything is written.
        measured: does it, and returns the status.
    """

    def run() -> int:
        asked = what(options)
        with opened(options.out):
            return measured(options, asked)

    return exit_status.of(f"guerdon {command}", run, extras, stopped(options.out, command, argv))


def stopped(out: Path, command: str, argv: Sequence[str]) -> str:
    """Return what an interruption leaves, and how to go on."""
    return f"what there is lies in {out}. To go on: {shlex.join(['guerdon', command, *argv])}"


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)
