"""A place where tests of untrusted code run, and how a program that ran there is judged."""

import secrets
from dataclasses import dataclass
from typing import Protocol

from model_evaluation.solving.verdict import Verdict

TAIL = 300
"""Characters of what a wrong program said that are kept."""


@dataclass(frozen=True)
class Limits:
    seconds: float = 10.0
    """Of wall-clock time, and of processor time."""
    memory_mb: int = 1024


@dataclass(frozen=True)
class Ran:
    """How a program ended; `status` is None where it was out of time."""

    status: int | None
    output: str


class Confinement(Protocol):
    """A place to run a program in."""

    described: str
    """What it keeps a program from, for the report; another description is another verdict."""
    why: str
    """Why it is this place, for the report; no verdict depends on it."""

    def run(self, program: str) -> Ran:
        """Run a program to its end.

        Raises:
            ConfinementError: it could not be run at all, which says nothing about the program.
        """


class ConfinementError(Exception):
    """The place failed, not the program."""


def verdict(place: Confinement, program: str, done: str) -> Verdict:
    """Run a program and say whether it came to its end."""
    try:
        ran = place.run(program)
    except ConfinementError as error:
        return Verdict.unknown("model_error", str(error))
    if ran.status is None:
        return Verdict.of(False, "out of time")
    lines = ran.output.rstrip().splitlines()
    if ran.status == 0 and lines and lines[-1] == done:
        return Verdict.of(True)
    said = ran.output.strip()[-TAIL:]
    return Verdict.of(False, said or f"ended with status {ran.status} before its last line")


def mark() -> str:
    return f"done-{secrets.token_hex(8)}"
