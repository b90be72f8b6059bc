"""Project only the completions' positions onto the vocabulary on a CPU too, as TRL does on GPUs."""

import torch
import trl.trainer.utils as trl_utils

_triton_here = trl_utils._use_triton  # type: ignore[attr-defined]


def compacts(device: torch.device) -> bool:
    return device.type == "cpu" or _triton_here(device)


def only_completions() -> None:
    """Let TRL leave out positions whose log-probabilities it would set to zero afterwards.

    It does so wherever it has Triton and projects every position elsewhere, because on some accelerators a changing
    number of positions costs a compilation. A CPU compiles nothing: the same numbers come out, and with a vocabulary
    of 262,144 most of an update's time was spent on prompts. tests/grpo_trainer/test_completion_positions.py holds
    that the numbers are the same and that the name replaced here still decides it.
    """
    trl_utils._use_triton = compacts  # type: ignore[attr-defined]
