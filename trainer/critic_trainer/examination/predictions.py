"""What the critic says of replies, by the reward class that the reward server runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from critic_trainer.critic_error import CriticError
from critic_trainer.reply import Reply
from long_work.progress import Progress
from reward_server.rewards import Item
from reward_server.rewards.critic import Critic

AT_A_TIME = 32


def served(directory: Path) -> Critic:
    """Return the loaded reward.

    Raises:
        CriticError: the directory is no critic.
    """
    try:
        critic = Critic(model=str(directory.resolve()))
        critic.load()
    except (OSError, ValueError, RuntimeError) as error:
        raise CriticError(f"{directory} is no critic that can be served: {error}") from None
    return critic


def predictions(critic: Critic, replies: Sequence[Reply]) -> dict[str, NDArray[np.float64]]:
    """Return the heads' scores in [0, 1] as the labels are, by head; float64 (n,)."""
    scores = []
    with Progress("scoring", len(replies)) as progress:
        for start in range(0, len(replies), AT_A_TIME):
            some = replies[start : start + AT_A_TIME]
            items = [Item.from_fields({"prompt": one.conversation, "completion": one.reply}) for one in some]
            scores += critic.score(items)
            progress.advance(len(some))
    heads = critic.heads.heads
    found = {head.name: np.array([one.components[head.name] for one in scores], dtype=np.float64) for head in heads}
    return {head.name: (found[head.name] - head.low) / (head.high - head.low) for head in heads}
