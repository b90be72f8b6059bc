"""Where tests of untrusted code run: in a container, or in a process without network and with limits.

What is used is said in every report: a process can still read what its user can read.
"""

import secrets
from dataclasses import dataclass
from typing import Literal, Protocol

from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.solving.verdict import Verdict

Choice = Literal["auto", "docker", "process"]
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
    """What it keeps a program from, for the report."""

    def run(self, program: str) -> Ran:
        """Run a program to its end.

        Raises:
            ConfinementError: it could not be run at all, which says nothing about the program.
        """


class ConfinementError(Exception):
    """The place failed, not the program."""


def chosen(choice: Choice, limits: Limits, image: str) -> Confinement:
    """Return the place: a container where an engine answers, else a process, unless one of them is asked for.

    Raises:
        EvaluationError: the one asked for is not to be had, or no process here can be kept from the network.
    """
    from model_evaluation.solving.container import Container
    from model_evaluation.solving.process import Process

    why = "a process was asked for"
    if choice != "process":
        try:
            return Container(limits, image)
        except ConfinementError as error:
            if choice == "docker":
                raise EvaluationError(f"--isolation docker: {error}") from None
            why = str(error)
    try:
        return Process(limits, why)
    except ConfinementError as error:
        raise EvaluationError(f"tests cannot be confined here ({why}; {error}); start a container engine") from None


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
