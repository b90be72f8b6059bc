"""Where tests of untrusted code run: in a container, or in a process without network and with limits.

What is used is said in every report: a process can still read what its user can read.
"""

from typing import Literal

from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.solving.confinement import Confinement, ConfinementError, Limits
from model_evaluation.solving.container import Container
from model_evaluation.solving.process import Process

Choice = Literal["auto", "docker", "process"]


def chosen(choice: Choice, limits: Limits, image: str) -> Confinement:
    """Return the place: a container where an engine answers, else a process, unless one of them is asked for.

    Raises:
        EvaluationError: the one asked for is not to be had, or no process here can be kept from the network.
    """
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
