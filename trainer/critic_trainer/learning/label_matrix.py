"""Labels as numbers with a mask, and a split that keeps dialogues whole."""

import random
from collections.abc import Sequence

import torch

from critic_trainer.critic_error import CriticError
from critic_trainer.reply import Reply
from reward_server.rewards.models.critic_heads import Head


def matrix(replies: Sequence[Reply], heads: Sequence[Head]) -> torch.Tensor:
    """Return labels, float32 (n, heads), scaled from [0, 1] to each head's range; NaN where one is missing.

    Raises:
        CriticError: a head has no label at all.
    """
    rows = [[reply.label(head.name) for head in heads] for reply in replies]
    for place, head in enumerate(heads):
        if all(row[place] is None for row in rows):
            known = ", ".join(dict.fromkeys(name for reply in replies for name in reply.labels)) or "none"
            raise CriticError(f"no reply has a label for the head {head.name!r}; the labels are: {known}")
    labels = torch.tensor([[float("nan") if value is None else value for value in row] for row in rows])
    low = torch.tensor([head.low for head in heads])
    high = torch.tensor([head.high for head in heads])
    return low + (high - low) * labels


def masked_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over labels that are there; a batch without any gives 0, with no gradient.

    Each head weighs by how many labels it has in the batch.
    """
    there = ~torch.isnan(labels)
    errors = torch.where(there, scores - torch.nan_to_num(labels), torch.zeros_like(scores))
    return errors.square().sum() / there.sum().clamp(min=1)


def hold_labels(labels: torch.Tensor, heads: Sequence[Head], sides: tuple[Sequence[int], Sequence[int]]) -> None:
    """Make sure that each side of a split has labels of every head: the loss over none would be 0, and look perfect.

    Args:
        labels: as `matrix` returns them.
        sides: places of the training and of the validation replies.

    Raises:
        CriticError: one has none of a head.
    """
    for side, places in zip(("training", "validation"), sides, strict=True):
        there = (~torch.isnan(labels[list(places)])).any(0).tolist()
        without = [head.name for head, has in zip(heads, there, strict=True) if not has]
        if without:
            raise CriticError(
                f"none of the {len(places)} {side} replies has a label for the head {without[0]!r}: give more labels "
                "of it, choose another [training] seed or validation_share, or leave the head out of [[heads]]"
            )


def split(replies: Sequence[Reply], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the places of (training, validation) replies; all replies of a dialogue are on one side.

    Raises:
        CriticError: there are fewer than two dialogues.
    """
    dialogues = sorted({reply.dialogue for reply in replies})
    if len(dialogues) < 2:
        raise CriticError("all replies are of one dialogue; a split by dialogue needs two, and far more to be of use")
    random.Random(seed).shuffle(dialogues)
    held = set(dialogues[: min(len(dialogues) - 1, max(1, round(share * len(dialogues))))])
    places = range(len(replies))
    return [i for i in places if replies[i].dialogue not in held], [i for i in places if replies[i].dialogue in held]
