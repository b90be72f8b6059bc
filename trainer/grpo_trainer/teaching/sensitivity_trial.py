"""Try each term's weight on completions of the policy itself: does the gradient depend on it?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from trl.trainer.utils import split_tensor_dict

from grpo_trainer.examination.finding import Finding, fail, ok, warn
from grpo_trainer.teaching import sensitivity
from grpo_trainer.teaching.rollout import Row, group_codes, unweighted
from grpo_trainer.teaching.sensitivity import Sensitivity
from grpo_trainer.teaching.signals import Floats
from grpo_trainer.trainer import PolicyTrainer

SUBJECT = "sensitivity"
ENOUGH = 64
"""Completions that are compared before a term counts as one that changes nothing; whole batches."""
MOST = 2 * ENOUGH
"""Completions that are generated for it, where some cannot be compared because they failed."""


def tried(trainer: PolicyTrainer, weights: dict[str, float]) -> list[Finding]:
    """Generate and score batches until each term has changed an update, or enough of them have shown that it does not.

    A term is only doubtful where too many completions failed to tell.
    """
    seen = Sensitivity(weights, scaled=trainer.scales_by_group)
    if not seen.silent:
        return [ok(SUBJECT, "one reward alone is the whole of the advantage")]
    found: list[Finding] = []
    drawn = 0
    for output, rows in _batches(trainer):
        drawn += len(rows)
        before = list(seen.silent)
        seen.follow(rows)
        found += [_of_gradient(trainer, output, rows, name, seen) for name in before if name not in seen.silent]
        if not seen.silent or seen.completions >= ENOUGH or drawn >= MOST:
            break
    return found + [_of_silent(name, seen, drawn) for name in seen.silent]


def _of_silent(name: str, seen: Sensitivity, drawn: int) -> Finding:
    if seen.completions < min(drawn, ENOUGH):
        return warn(
            SUBJECT,
            f"whether {name!r} changes anything is not known: of {drawn} completions only {seen.completions} could be "
            "compared, the others lack a score or are the only ones of their group. See the reward server's log.",
        )
    return fail(SUBJECT, sensitivity.refusal(name, seen.completions))


def _batches(trainer: PolicyTrainer) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    trainer.model.train()  # what tells TRL a training batch from an evaluation
    for inputs in trainer.get_train_dataloader():  # type: ignore[no-untyped-call]
        output = trainer._generate_and_score_completions(inputs)
        yield output, trainer.take_rows()[0]


def _of_gradient(
    trainer: PolicyTrainer, output: dict[str, Any], rows: list[Row], name: str, seen: Sensitivity
) -> Finding:
    weights = np.array([rows[-1][f"weight/{one}"] for one in seen.names], dtype=np.float64)
    pair = sensitivity.pair(
        unweighted(rows, seen.names), weights, seen.names.index(name), group_codes(rows), scaled=seen.scaled
    )
    without, strong = (_gradient(trainer, output, advantages) for advantages in pair)
    size, change = max(float(without.norm()), float(strong.norm())), float((strong - without).norm())
    if change <= sensitivity.SAME * size:
        return fail(
            SUBJECT,
            f"the weight of {name!r} changes the advantages but not the gradient: are all completions masked "
            "(grpo.mask_truncated_completions with a max_completion_length that is too short)?",
        )
    return ok(SUBJECT, f"{name}: its weight at 10 instead of 0 changes the gradient by {100 * change / size:.0f}%")


def _gradient(trainer: PolicyTrainer, output: dict[str, Any], advantages: Floats) -> torch.Tensor:
    """Return the gradient that this batch's completions would give with these advantages, flat."""
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps  # its loop sets this
    given = output | {"advantages": output["advantages"].new_tensor(advantages)}
    trained = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    total: list[torch.Tensor] = [torch.zeros_like(weight) for weight in trained]
    for piece in split_tensor_dict(given, trainer.args.steps_per_generation or 1):
        loss = trainer.compute_loss(trainer.model, piece)
        for sum_, part in zip(total, torch.autograd.grad(loss, trained, allow_unused=True), strict=True):
            sum_ += 0 if part is None else part
    return torch.cat([part.flatten() for part in total])
