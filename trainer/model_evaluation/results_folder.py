"""The directory of an evaluation's results: one command at a time writes there, and files appear whole."""

import fcntl
import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from model_evaluation.evaluation_error import EvaluationError


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


def write(path: Path, text: str) -> None:
    """Replace a file by one with this text, whole or not at all."""
    scratch = path.with_suffix(f"{path.suffix}.new")
    scratch.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(scratch, path)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    write(path, "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n" for row in rows))


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)
