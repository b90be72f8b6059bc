"""End a run that teaches nothing, and say what it is that stands still."""

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]

FAILED = 0.5
"""Share of completions without a score at which the others can be alone in their groups, with nobody to differ from."""


class Liveness:
    """Follows the ledger's lines; `diagnosis` says why the run should end, once it should."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.unmoved = self.flat = 0
        self.diagnosis: str | None = None

    def follow(self, record: Record) -> str | None:
        """Return why the run should end after this step, or None.

        A step whose change is unknown (weights spread over ranks that cannot be compared) says nothing of it.
        """
        change, dead = record.get("parameter_change"), record.get("dead_group_share")
        self.unmoved = self.unmoved + 1 if change == 0 else 0
        self.flat = self.flat + 1 if dead == 1 else (self.flat if dead is None else 0)
        if self.steps and self.flat >= self.steps:
            self.diagnosis = f"no group's rewards have differed for {self.flat} steps: {why_flat(record)}"
        elif self.steps and self.unmoved >= self.steps:
            self.diagnosis = f"the policy has not changed for {self.unmoved} steps: {why_unmoved(record)}"
        return self.diagnosis


def why_flat(record: Record) -> str:
    """Return what keeps the rewards equal within groups, and what to do."""
    failed, ceiling = record.get("failed_share") or 0.0, record.get("ceiling_share")
    if failed >= FAILED:
        missing = "no completion has a score" if failed == 1 else f"{failed:.0%} of completions have no score"
        return f"{missing}. See the rollouts' error column and the reward server's log."
    if ceiling == 1:
        return "every reward is at its upper bound. The policy has learned what this reward asks for: ask for more."
    equal = [name for name, stats in (record.get("terms") or {}).items() if stats.get("std") == 0]
    if equal and len(equal) == len(record.get("terms") or {}):
        return (
            f"{', '.join(equal)} give every completion the same value. Either no completion comes near what they "
            "score (look at the rollouts, begin with easier prompts), or they do not read the completion."
        )
    return (
        "completions of one prompt are scored alike. Raise grpo.temperature or grpo.num_generations, so that they "
        "differ, or use a reward that tells them apart."
    )


def why_unmoved(record: Record) -> str:
    """Return what keeps the weights where they are, and what to do."""
    if record.get("learning_rate") == 0:
        return "the learning rate is 0. Look at grpo.learning_rate, lr_scheduler_type and warmup_steps."
    if record.get("dead_group_share") == 1:
        return f"there is nothing to learn from; {why_flat(record)}"
    if record.get("grad_norm") == 0:
        return (
            "the gradient is 0 although the rewards differ. Are any weights trained ([policy] train, lora), and is "
            "every completion masked (grpo.mask_truncated_completions with a max_completion_length that is too short)?"
        )
    return (
        "its updates are lost in rounding. Raise grpo.learning_rate, or train in float32 ([policy] dtype): bfloat16 "
        "keeps 8 bits."
    )
