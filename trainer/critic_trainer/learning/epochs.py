"""The training loop: epochs over batches, the best epoch kept, stopped when the validation loss no longer falls."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from critic_trainer.critic_error import CriticError
from critic_trainer.learning.critic_file import Training
from critic_trainer.learning.label_matrix import masked_loss
from critic_trainer.learning.trained_encoder import TrainedEncoder
from long_work.progress import Progress
from reward_server.rewards.models.tokenizer import Encoded

WARMUP_SHARE = 0.06
LARGEST_STEP = 1.0
"""Gradients are scaled down to this norm."""


@dataclass
class Inputs:
    """What is trained on: token ids, or vectors made once where the encoder is frozen; labels (n, heads)."""

    sequences: Sequence[Encoded]
    labels: torch.Tensor
    vectors: torch.Tensor | None = None


@dataclass
class Course:
    """How the training has gone: losses by epoch (mean squared error), and the best epoch's number from 1."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        return min(range(len(self.validation_loss)), key=self.validation_loss.__getitem__) + 1

    def over(self, settings: Training) -> bool:
        done = len(self.validation_loss)
        return done >= settings.epochs or (done > 0 and done - self.best >= settings.patience)


class Epochs:
    """One training. After each epoch all of it is written to `checkpoint`, and read from there by the next attempt."""

    def __init__(self, encoder: TrainedEncoder, network: torch.nn.Module, settings: Training, checkpoint: Path) -> None:
        self.encoder, self.settings, self._checkpoint = encoder, settings, checkpoint
        self.network = network.to(encoder.device)  # where the vectors are that it reads
        self.course = Course()
        rates = [{"params": list(network.parameters()), "lr": settings.head_learning_rate}]
        if encoder.weights():
            rates.append({"params": encoder.weights(), "lr": settings.learning_rate})
        self._optimizer = torch.optim.AdamW(rates, weight_decay=1e-4)
        self._best: dict[str, Any] = self._weights()

    def run(self, inputs: Inputs, train: Sequence[int], held: Sequence[int]) -> Course:
        """Train in place; what is left is the best epoch's weights.

        Raises:
            CriticError: the loss on the held replies is no finite number.
        """
        steps = math.ceil(len(train) / self.settings.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, _rate(steps * self.settings.epochs))
        self._resume(schedule)
        with Progress("critic", steps * self.settings.epochs, len(self.course.train_loss) * steps) as progress:
            while not self.course.over(self.settings):
                self.course.train_loss.append(self._epoch(inputs, train, schedule, progress))
                self.course.validation_loss.append(self._validation_loss(inputs, held))
                if self.course.best == len(self.course.validation_loss):
                    self._best = self._weights()
                self._save(schedule)
                self._say()
        self._put(self._best)
        return self.course

    def _validation_loss(self, inputs: Inputs, held: Sequence[int]) -> float:
        found = self.loss(inputs, held)
        if not math.isfinite(found):  # NaN is neither above nor below another loss: no epoch would be the best
            raise CriticError(
                f"epoch {len(self.course.train_loss)}: the validation loss is {found}; the training diverges, which "
                "a lower [training] head_learning_rate or learning_rate prevents"
            )
        return found

    def loss(self, inputs: Inputs, places: Sequence[int]) -> float:
        """Return the mean squared error on some replies."""
        with torch.no_grad():
            found = torch.cat([self.scores(inputs, some) for some in _parts(places, self.settings.batch)])
        return float(masked_loss(found, inputs.labels[list(places)]))

    def scores(self, inputs: Inputs, places: Sequence[int]) -> torch.Tensor:
        if inputs.vectors is not None:
            vectors = inputs.vectors[list(places)]
        else:
            vectors = self.encoder.vectors([inputs.sequences[place] for place in places])
        found: torch.Tensor = self.network(vectors)
        return found.cpu()

    def _epoch(self, inputs: Inputs, train: Sequence[int], schedule: Any, progress: Progress) -> float:
        order = list(train)
        random.Random(f"{self.settings.seed}/{len(self.course.train_loss)}").shuffle(order)
        total = 0.0
        for some in _parts(order, self.settings.batch):
            loss = masked_loss(self.scores(inputs, some), inputs.labels[some])
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_([*self.network.parameters(), *self.encoder.weights()], LARGEST_STEP)
            self._optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(some)
            progress.advance()
        return total / len(order)

    def _say(self) -> None:
        train, held = self.course.train_loss[-1], self.course.validation_loss[-1]
        print(
            f"epoch {len(self.course.train_loss)}/{self.settings.epochs}: loss {train:.4f}, validation {held:.4f}"
            f"{' (the best so far)' if self.course.best == len(self.course.train_loss) else ''}",
            flush=True,
        )

    def _weights(self) -> dict[str, Any]:
        heads = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        return {"heads": heads, "encoder": self.encoder.state()}

    def _put(self, weights: dict[str, Any]) -> None:
        self.network.load_state_dict(weights["heads"])
        self.encoder.restore(weights["encoder"])

    def _save(self, schedule: Any) -> None:
        state = {
            "now": self._weights(),
            "best": self._best,
            "optimizer": self._optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "train_loss": self.course.train_loss,
            "validation_loss": self.course.validation_loss,
        }
        scratch = self._checkpoint.with_suffix(".new")
        torch.save(state, scratch)
        scratch.replace(self._checkpoint)

    def _resume(self, schedule: Any) -> None:
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, weights_only=True)
        self._put(state["now"])
        self._best = state["best"]
        self._optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        self.course = Course(state["train_loss"], state["validation_loss"])


def _rate(steps: int) -> Any:
    """Return the factor of the learning rate by step: linear warm-up, then linearly to 0."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    return lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / max(1, steps - warmup)))


def _parts(places: Sequence[int], size: int) -> list[list[int]]:
    return [list(places[start : start + size]) for start in range(0, len(places), size)]
